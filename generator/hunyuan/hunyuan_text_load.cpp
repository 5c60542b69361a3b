#include "generator/hunyuan/hunyuan_text_weights.hpp"
#include "generator/wan/strict_load.hpp"

#include <ATen/ATen.h>

namespace wander {
namespace {

HunyuanNorm load_norm(HunyuanLoader& loader, const std::string& name) {
    return {loader.wide(name + ".weight"), loader.wide(name + ".bias")};
}

HunyuanRefinerBlock load_refiner(HunyuanLoader& loader, int index) {
    const std::string name = "txt_in.individual_token_refiner.blocks." + std::to_string(index) + ".";
    HunyuanRefinerBlock block;
    block.norm1 = load_norm(loader, name + "norm1");
    block.norm2 = load_norm(loader, name + "norm2");
    block.qkv = loader.linear(name + "self_attn_qkv");
    block.out = loader.linear(name + "self_attn_proj");
    block.mlp_in = loader.linear(name + "mlp.fc1");
    block.mlp_out = loader.linear(name + "mlp.fc2");
    block.gates = loader.linear(name + "adaLN_modulation.1");
    return block;
}

// time: SiLU of the embedding of timestep 0, [1, dim] compute type.
HunyuanTextBlock load_block(HunyuanLoader& loader, int layer, const at::Tensor& time) {
    const std::string name = "double_blocks." + std::to_string(layer) + ".txt_";
    HunyuanTextBlock block;
    block.factors =
        loader.linear(name + "mod.linear")(time).to(loader.wide_type()).view({6, 1, time.size(1)}).contiguous();
    block.factors[1].add_(1);
    block.factors[4].add_(1);
    block.qkv = loader.stacked(name, {"attn_q", "attn_k", "attn_v"});
    block.out = loader.linear(name + "attn_proj");
    block.norm_q = loader.wide(name + "attn_q_norm.weight");
    block.norm_k = loader.wide(name + "attn_k_norm.weight");
    block.mlp_in = loader.linear(name + "mlp.fc1");
    block.mlp_out = loader.linear(name + "mlp.fc2");
    return block;
}

} // namespace

Result<HunyuanTextSide> HunyuanTextSide::load(const HunyuanConfig& config, const TensorSource& source,
                                              at::Device device, at::ScalarType compute) {
    if (const std::string problem = config.problem(); !problem.empty())
        return Error{ErrorCode::bad_input, "the transformer's sizes do not fit together: " + problem};
    auto tensors = load_strictly(config.text_shapes(), source, "transformer's text side");
    if (!tensors) return tensors.error();

    HunyuanLoader loader(std::move(*tensors), device, compute, nn::WeightType::compute);
    auto weights = std::make_shared<Weights>();
    Weights& w = *weights;
    w.config = config;
    w.device = device;
    w.compute = compute;
    w.wide = loader.wide_type();
    w.text_in = loader.linear("txt_in.input_embedder");
    w.refiner_time = HunyuanEmbedder::load(loader, "txt_in.t_embedder");
    w.refiner_text_1 = loader.linear("txt_in.c_embedder.linear_1");
    w.refiner_text_2 = loader.linear("txt_in.c_embedder.linear_2");
    for (int i = 0; i < config.refiner_blocks; ++i) w.refiner.push_back(load_refiner(loader, i));
    if (config.glyph_dim > 0) {
        w.glyph_norm = load_norm(loader, "byt5_in.layernorm");
        w.glyph_1 = loader.linear("byt5_in.fc1");
        w.glyph_2 = loader.linear("byt5_in.fc2");
        w.glyph_3 = loader.linear("byt5_in.fc3");
    }
    w.vision_norm_in = load_norm(loader, "vision_in.proj.0");
    w.vision_1 = loader.linear("vision_in.proj.1");
    w.vision_2 = loader.linear("vision_in.proj.3");
    w.vision_norm_out = load_norm(loader, "vision_in.proj.4");
    w.types = loader.wide("cond_type_embedding.weight");
    // Timestep 0 whatever the video's is, and no label.
    const HunyuanEmbedder time = HunyuanEmbedder::load(loader, "time_in");
    const at::Tensor active = at::silu(time({0.0}, device, w.wide)).to(compute);
    for (int layer = 0; layer < config.layers; ++layer) w.blocks.push_back(load_block(loader, layer, active));
    HunyuanTextSide side;
    side.weights_ = std::move(weights);
    return side;
}

} // namespace wander
