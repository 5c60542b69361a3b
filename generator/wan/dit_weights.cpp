#include "generator/wan/dit_weights.hpp"

#include "generator/wan/strict_load.hpp"

#include <ATen/ATen.h>

namespace wander {
namespace {

// Hands out checked tensors in the type and place the network wants them.
class Loader {
public:
    Loader(std::map<std::string, at::Tensor> tensors, at::Device device, at::ScalarType compute, at::ScalarType wide,
           nn::WeightType large)
        : tensors_(std::move(tensors)), device_(device), compute_(compute), wide_(wide), large_(large) {}

    at::Tensor wide(const std::string& name) const { return tensors_.at(name).to(device_, wide_).contiguous(); }
    nn::Linear linear(const std::string& name) const { return linear(name, compute_, nn::WeightType::compute); }
    // The matrices that take most of the time: in the type that was asked for.
    nn::Linear large_linear(const std::string& name) const { return linear(name, compute_, large_); }
    // Parts that run once per chunk, or are tables, keep the wide type.
    nn::Linear wide_linear(const std::string& name) const { return linear(name, wide_, nn::WeightType::compute); }
    nn::Linear stacked(const std::string& block, const std::vector<const char*>& parts) const {
        std::vector<at::Tensor> weights, biases;
        for (const char* part : parts) {
            weights.push_back(tensors_.at(block + part + ".weight"));
            biases.push_back(tensors_.at(block + part + ".bias"));
        }
        return {at::cat(weights), at::cat(biases), device_, compute_, large_};
    }
    // Two layers whose results are added, as one that takes their inputs side by side. Only the first has a bias.
    nn::Linear side_by_side(const std::string& first, const std::string& second) const {
        const auto weight = [&](const std::string& name) {
            return tensors_.at(name + ".weight").to(device_, compute_);
        };
        return {at::cat({weight(first), weight(second)}, 1), tensors_.at(first + ".bias"), device_, compute_};
    }

private:
    nn::Linear linear(const std::string& name, at::ScalarType type, nn::WeightType kept) const {
        const auto bias = tensors_.find(name + ".bias");
        return {tensors_.at(name + ".weight").flatten(1), bias == tensors_.end() ? at::Tensor() : bias->second, device_,
                type, kept};
    }

    std::map<std::string, at::Tensor> tensors_;
    at::Device device_;
    at::ScalarType compute_;
    at::ScalarType wide_;
    nn::WeightType large_;
};

DitBlock load_block(const Loader& loader, const DitConfig& config, int layer) {
    const std::string name = "blocks." + std::to_string(layer) + ".";
    DitBlock block;
    block.qkv = loader.stacked(name + "self_attn.", {"q", "k", "v"});
    if (layer == config.layers - 1) block.kv = loader.stacked(name + "self_attn.", {"k", "v"});
    block.out = config.prope ? loader.side_by_side(name + "self_attn.o", name + "self_attn.prope_proj")
                             : loader.linear(name + "self_attn.o");
    block.norm_q = loader.wide(name + "self_attn.norm_q.weight");
    block.norm_k = loader.wide(name + "self_attn.norm_k.weight");
    if (config.text_dim > 0) {
        block.cross_q = loader.linear(name + "cross_attn.q");
        block.cross_k = loader.linear(name + "cross_attn.k");
        block.cross_v = loader.linear(name + "cross_attn.v");
        block.cross_out = loader.linear(name + "cross_attn.o");
        block.cross_norm_q = loader.wide(name + "cross_attn.norm_q.weight");
        block.cross_norm_k = loader.wide(name + "cross_attn.norm_k.weight");
        block.norm3_weight = loader.wide(name + "norm3.weight").unsqueeze(0);
        block.norm3_bias = loader.wide(name + "norm3.bias").unsqueeze(0);
    }
    block.ffn_in = loader.large_linear(name + "ffn.0");
    block.ffn_out = loader.large_linear(name + "ffn.2");
    return block;
}

} // namespace

Result<WanDit> WanDit::load(const DitConfig& config, const TensorSource& source, at::Device device,
                            at::ScalarType compute, nn::WeightType weight_type) {
    if (weight_type == nn::WeightType::e4m3 &&
        (!device.is_cuda() || compute != at::kBFloat16 || config.dim % 16 != 0 || config.ffn % 16 != 0)) {
        return Error{ErrorCode::wrong_use,
                     "weights in FP8 need an NVIDIA GPU, BF16 precision and widths that 16 divides; use bf16"};
    }
    TORCH_CHECK(config.heads * config.head_dim == config.dim, "WanDit: heads * head_dim must be dim");
    TORCH_CHECK(config.rope_time_channels + config.rope_row_channels + config.rope_col_channels == config.head_dim,
                "WanDit: RoPE channels must add up to head_dim");
    auto tensors = load_strictly(config.tensor_shapes(), source, "transformer");
    if (!tensors) return tensors.error();

    auto weights = std::make_shared<Weights>();
    Weights& w = *weights;
    w.config = config;
    w.device = device;
    w.compute = compute;
    w.wide = compute == at::kDouble ? at::kDouble : at::kFloat;
    const Loader loader(std::move(*tensors), device, compute, w.wide, weight_type);
    w.patch = loader.wide_linear("patch_embedding");
    w.time_0 = loader.wide_linear("time_embedding.0");
    w.time_2 = loader.wide_linear("time_embedding.2");
    w.time_projection = loader.wide_linear("time_projection.1");
    if (config.action_label) {
        w.action_0 = loader.wide_linear("action_in.mlp.0");
        w.action_2 = loader.wide_linear("action_in.mlp.2");
    }
    if (config.text_dim > 0) {
        w.text_0 = loader.linear("text_embedding.0");
        w.text_2 = loader.linear("text_embedding.2");
    }
    std::vector<at::Tensor> modulation;
    for (int layer = 0; layer < config.layers; ++layer) {
        w.blocks.push_back(load_block(loader, config, layer));
        modulation.push_back(loader.wide("blocks." + std::to_string(layer) + ".modulation"));
    }
    w.modulation = at::cat(modulation);
    w.head_modulation = loader.wide("head.modulation").squeeze(0);
    w.head = loader.wide_linear("head.head");
    if (config.pose_hidden > 0) {
        auto pose = PoseEmbedding::load(pose_config(config), source, device);
        if (!pose) return pose.error();
        w.pose = std::move(*pose);
    }
    WanDit dit;
    dit.weights_ = std::move(weights);
    return dit;
}

const DitConfig& WanDit::config() const { return weights_->config; }

at::Device WanDit::device() const { return weights_->device; }

at::Tensor WanDit::pose_tokens(float x, float z, float yaw, float pitch, int world, int rows, int cols) const {
    TORCH_CHECK(weights_->pose, "WanDit: this model has no pose embedding");
    return weights_->pose->tokens(x, z, yaw, pitch, world, rows, cols);
}

} // namespace wander
