#include "generator/hunyuan/hunyuan_dit_weights.hpp"
#include "generator/nn/rope_layout.hpp"
#include "generator/wan/strict_load.hpp"

#include <ATen/ATen.h>

namespace wander {
namespace {

HunyuanBlock load_block(HunyuanLoader& loader, int layer, bool last) {
    const std::string name = "double_blocks." + std::to_string(layer) + ".img_";
    HunyuanBlock block;
    block.modulation = loader.linear(name + "mod.linear");
    if (last) block.kv = loader.stacked(name, {"attn_k", "attn_v"}, true);
    block.qkv = loader.stacked(name, {"attn_q", "attn_k", "attn_v"});
    block.out = loader.side_by_side(name + "attn_proj", name + "attn_prope_proj");
    block.norm_q = loader.wide(name + "attn_q_norm.weight");
    block.norm_k = loader.wide(name + "attn_k_norm.weight");
    block.mlp_in = loader.large_linear(name + "mlp.fc1");
    block.mlp_out = loader.large_linear(name + "mlp.fc2");
    return block;
}

} // namespace

Result<HunyuanDit> HunyuanDit::load(const HunyuanConfig& config, const TensorSource& source, at::Device device,
                                    at::ScalarType compute, nn::WeightType weight_type) {
    if (const std::string problem = config.problem(); !problem.empty())
        return Error{ErrorCode::bad_input, "the transformer's sizes do not fit together: " + problem};
    if (weight_type == nn::WeightType::e4m3 &&
        (!device.is_cuda() || compute != at::kBFloat16 || config.dim % 16 != 0 || config.mlp % 16 != 0)) {
        return Error{ErrorCode::wrong_use,
                     "weights in FP8 need an NVIDIA GPU, BF16 precision and widths that 16 divides; use bf16"};
    }
    auto tensors = load_strictly(config.image_shapes(), source, "transformer");
    if (!tensors) return tensors.error();

    HunyuanLoader loader(std::move(*tensors), device, compute, weight_type);
    auto weights = std::make_shared<Weights>();
    Weights& w = *weights;
    w.config = config;
    w.device = device;
    w.compute = compute;
    w.wide = loader.wide_type();
    w.patch = loader.wide_linear("img_in.proj");
    w.time = HunyuanEmbedder::load(loader, "time_in");
    w.action = HunyuanEmbedder::load(loader, "action_in");
    for (int layer = 0; layer < config.layers; ++layer)
        w.blocks.push_back(load_block(loader, layer, layer == config.layers - 1));
    w.head_modulation = loader.linear("final_layer.adaLN_modulation.1");
    w.head = loader.wide_linear("final_layer.linear");
    HunyuanDit dit;
    dit.weights_ = std::move(weights);
    return dit;
}

HunyuanDit HunyuanDit::as_rank(std::shared_ptr<HeadSplit> split) const {
    TORCH_CHECK(split && config().heads % split->size() == 0, "HunyuanDit: heads must divide among the devices");
    HunyuanDit rank = *this;
    rank.split_ = std::move(split);
    return rank;
}

const HunyuanConfig& HunyuanDit::config() const { return weights_->config; }

at::Device HunyuanDit::device() const { return weights_->device; }

void HunyuanDit::fill_rope(quant::ReadView& view, int rows, int cols) const {
    const HunyuanConfig& c = config();
    nn::fill_rope({c.rope_time_channels, c.rope_row_channels, c.rope_col_channels, c.rope_theta}, rows, cols, view);
}

} // namespace wander
