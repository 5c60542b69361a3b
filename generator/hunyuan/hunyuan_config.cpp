#include "generator/hunyuan/hunyuan_config.hpp"

namespace wander {
namespace {

using Shapes = HunyuanConfig::Shapes;

void add_linear(Shapes& shapes, const std::string& name, std::int64_t out, std::int64_t in) {
    shapes[name + ".weight"] = {out, in};
    shapes[name + ".bias"] = {out};
}

void add_norm(Shapes& shapes, const std::string& name, std::int64_t width) {
    shapes[name + ".weight"] = {width};
    shapes[name + ".bias"] = {width};
}

void add_embedder(Shapes& shapes, const std::string& name, const HunyuanConfig& config) {
    add_linear(shapes, name + ".mlp.0", config.dim, config.freq_dim);
    add_linear(shapes, name + ".mlp.2", config.dim, config.dim);
}

// One of the two streams ("img", "txt") of a block.
void add_stream(Shapes& shapes, const HunyuanConfig& config, int layer, const std::string& stream) {
    const std::string block = "double_blocks." + std::to_string(layer) + "." + stream + "_";
    const std::int64_t dim = config.dim;
    add_linear(shapes, block + "mod.linear", 6 * dim, dim);
    for (const char* part : {"attn_q", "attn_k", "attn_v", "attn_proj"}) add_linear(shapes, block + part, dim, dim);
    shapes[block + "attn_q_norm.weight"] = {config.head_dim};
    shapes[block + "attn_k_norm.weight"] = {config.head_dim};
    add_linear(shapes, block + "mlp.fc1", config.mlp, dim);
    add_linear(shapes, block + "mlp.fc2", dim, config.mlp);
}

void add_refiner(Shapes& shapes, const HunyuanConfig& config) {
    const std::int64_t dim = config.dim;
    add_linear(shapes, "txt_in.input_embedder", dim, config.text_dim);
    add_embedder(shapes, "txt_in.t_embedder", config);
    add_linear(shapes, "txt_in.c_embedder.linear_1", dim, config.text_dim);
    add_linear(shapes, "txt_in.c_embedder.linear_2", dim, dim);
    for (int i = 0; i < config.refiner_blocks; ++i) {
        const std::string block = "txt_in.individual_token_refiner.blocks." + std::to_string(i) + ".";
        add_norm(shapes, block + "norm1", dim);
        add_norm(shapes, block + "norm2", dim);
        add_linear(shapes, block + "self_attn_qkv", 3 * dim, dim);
        add_linear(shapes, block + "self_attn_proj", dim, dim);
        add_linear(shapes, block + "mlp.fc1", config.mlp, dim);
        add_linear(shapes, block + "mlp.fc2", dim, config.mlp);
        add_linear(shapes, block + "adaLN_modulation.1", 2 * dim, dim);
    }
}

} // namespace

Shapes HunyuanConfig::image_shapes() const {
    Shapes shapes;
    add_linear(shapes, "img_in.proj", dim, std::int64_t{2} * channels + 1);
    shapes["img_in.proj.weight"].insert(shapes["img_in.proj.weight"].end(), {1, 1, 1}); // a convolution over 1 x 1 x 1
    add_embedder(shapes, "time_in", *this);
    add_embedder(shapes, "action_in", *this);
    for (int layer = 0; layer < layers; ++layer) {
        add_stream(shapes, *this, layer, "img");
        add_linear(shapes, "double_blocks." + std::to_string(layer) + ".img_attn_prope_proj", dim, dim);
    }
    add_linear(shapes, "final_layer.adaLN_modulation.1", std::int64_t{2} * dim, dim);
    add_linear(shapes, "final_layer.linear", channels, dim);
    return shapes;
}

Shapes HunyuanConfig::text_shapes() const {
    Shapes shapes;
    add_embedder(shapes, "time_in", *this);
    add_refiner(shapes, *this);
    if (glyph_dim > 0) {
        add_norm(shapes, "byt5_in.layernorm", glyph_dim);
        add_linear(shapes, "byt5_in.fc1", glyph_hidden, glyph_dim);
        add_linear(shapes, "byt5_in.fc2", glyph_hidden, glyph_hidden);
        add_linear(shapes, "byt5_in.fc3", dim, glyph_hidden);
    }
    add_norm(shapes, "vision_in.proj.0", vision_dim);
    add_linear(shapes, "vision_in.proj.1", vision_dim, vision_dim);
    add_linear(shapes, "vision_in.proj.3", dim, vision_dim);
    add_norm(shapes, "vision_in.proj.4", dim);
    shapes["cond_type_embedding.weight"] = {3, dim};
    for (int layer = 0; layer < layers; ++layer) add_stream(shapes, *this, layer, "txt");
    return shapes;
}

Shapes HunyuanConfig::tensor_shapes() const {
    Shapes shapes = image_shapes();
    shapes.merge(text_shapes());
    return shapes;
}

std::string HunyuanConfig::problem() const {
    if (dim <= 0 || layers <= 0 || heads <= 0 || channels <= 0 || mlp <= 0) return "sizes must be positive";
    if (heads * head_dim != dim) return "the heads do not make up the width";
    if (head_dim % 4 != 0) return "a head must be a multiple of 4 channels wide";
    if (rope_time_channels + rope_row_channels + rope_col_channels != head_dim)
        return "the rotary channels do not make up a head";
    return {};
}

} // namespace wander
