#include "generator/wan/dit_weights.hpp"

#include <ATen/ATen.h>

namespace wander {
namespace {

using Shapes = std::map<std::string, std::vector<std::int64_t>>;

void add_linear(Shapes& shapes, const std::string& name, std::int64_t out, std::int64_t in, bool bias = true) {
    shapes[name + ".weight"] = {out, in};
    if (bias) shapes[name + ".bias"] = {out};
}

void add_block(Shapes& shapes, const DitConfig& config, int layer) {
    const std::int64_t dim = config.dim;
    const std::string block = "blocks." + std::to_string(layer) + ".";
    shapes[block + "modulation"] = {1, 6, dim};
    const auto add_attention = [&](const std::string& name) {
        for (const char* part : {"q", "k", "v", "o"}) add_linear(shapes, name + "." + part, dim, dim);
        shapes[name + ".norm_q.weight"] = {dim};
        shapes[name + ".norm_k.weight"] = {dim};
    };
    add_attention(block + "self_attn");
    if (config.prope) add_linear(shapes, block + "self_attn.prope_proj", dim, dim, false);
    if (config.text_dim > 0) {
        add_attention(block + "cross_attn");
        shapes[block + "norm3.weight"] = {dim};
        shapes[block + "norm3.bias"] = {dim};
    }
    add_linear(shapes, block + "ffn.0", config.ffn, dim);
    add_linear(shapes, block + "ffn.2", dim, config.ffn);
}

} // namespace

PoseEmbeddingConfig pose_config(const DitConfig& config) {
    PoseEmbeddingConfig pose;
    pose.dim = config.dim;
    pose.hidden = config.pose_hidden;
    pose.worlds = config.pose_worlds;
    pose.map_channels = config.map_channels;
    pose.fine_cells = config.map_fine_cells;
    pose.coarse_cells = config.map_coarse_cells;
    pose.fine_distances = config.fine_distances;
    pose.coarse_distances = config.coarse_distances;
    return pose;
}

std::map<std::string, std::vector<std::int64_t>> DitConfig::tensor_shapes() const {
    Shapes shapes;
    shapes["patch_embedding.weight"] = {dim, channels, 1, 2, 2};
    shapes["patch_embedding.bias"] = {dim};
    add_linear(shapes, "time_embedding.0", dim, freq_dim);
    add_linear(shapes, "time_embedding.2", dim, dim);
    add_linear(shapes, "time_projection.1", std::int64_t{6} * dim, dim);
    if (text_dim > 0) {
        add_linear(shapes, "text_embedding.0", dim, text_dim);
        add_linear(shapes, "text_embedding.2", dim, dim);
    }
    if (action_label) {
        add_linear(shapes, "action_in.mlp.0", dim, freq_dim);
        add_linear(shapes, "action_in.mlp.2", dim, dim);
    }
    for (int layer = 0; layer < layers; ++layer) add_block(shapes, *this, layer);
    shapes["head.modulation"] = {1, 2, dim};
    add_linear(shapes, "head.head", std::int64_t{4} * channels, dim);
    if (pose_hidden > 0) shapes.merge(PoseEmbedding::tensor_shapes(pose_config(*this)));
    return shapes;
}

} // namespace wander
