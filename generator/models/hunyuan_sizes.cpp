#include "generator/models/hunyuan_sizes.hpp"

#include <fmt/format.h>

namespace wander {

Result<HunyuanVaeConfig> hunyuan_vae_of_shapes(const ShapeTable& shapes) {
    HunyuanVaeConfig vae;
    const auto width_of = [&](const std::string& name, std::size_t dimension) -> int {
        const auto found = shapes.find(name);
        if (found == shapes.end() || found->second.size() != 5 || found->second[dimension] < 1 ||
            found->second[dimension] > 1 << 16)
            return 0;
        return static_cast<int>(found->second[dimension]);
    };
    vae.z = width_of("decoder.conv_in.conv.weight", 1);
    vae.widths.clear();
    while (vae.widths.size() < 16) {
        const int width = width_of(fmt::format("encoder.down.{}.block.0.conv1.conv.weight", vae.widths.size()), 0);
        if (width == 0) break;
        vae.widths.push_back(width);
    }
    if (vae.z == 0 || vae.widths.size() < 2)
        return Error{ErrorCode::bad_input, "has no 'decoder.conv_in.conv', or no levels 'encoder.down.0.block.0'"};
    vae.residual_blocks = 0;
    while (vae.residual_blocks < 16 &&
           shapes.contains(fmt::format("encoder.down.0.block.{}.conv1.conv.weight", vae.residual_blocks)))
        ++vae.residual_blocks;
    // A change of size makes 4 cells of one, or 8 where it changes time: the coarsest levels do.
    vae.temporal_levels = 0;
    for (std::size_t level = 0; level + 1 < vae.widths.size(); ++level) {
        const int made = width_of(fmt::format("encoder.down.{}.downsample.conv.conv.weight", level), 0);
        if (made > 0 && vae.widths[level + 1] == made * 8) ++vae.temporal_levels;
    }
    return vae;
}

Result<HunyuanConfig> hunyuan_of_shapes(const ShapeTable& shapes) {
    const auto size_of = [&](const std::string& name, std::size_t dimension) -> int {
        const auto found = shapes.find(name);
        if (found == shapes.end() || found->second.size() <= dimension) return 0;
        const std::int64_t size = found->second[dimension];
        return size >= 1 && size <= 1 << 20 ? static_cast<int>(size) : 0;
    };
    const auto count_of = [&](const char* pattern) {
        int count = 0;
        while (count < 1024 && shapes.contains(fmt::format(fmt::runtime(pattern), count))) ++count;
        return count;
    };
    HunyuanConfig config;
    config.dim = size_of("time_in.mlp.2.weight", 0);
    config.freq_dim = size_of("time_in.mlp.0.weight", 1);
    config.layers = count_of("double_blocks.{}.img_attn_q.weight");
    config.head_dim = size_of("double_blocks.0.img_attn_q_norm.weight", 0);
    config.mlp = size_of("double_blocks.0.img_mlp.fc1.weight", 0);
    config.channels = size_of("final_layer.linear.weight", 0);
    config.text_dim = size_of("txt_in.input_embedder.weight", 1);
    config.vision_dim = size_of("vision_in.proj.0.weight", 0);
    config.glyph_dim = size_of("byt5_in.layernorm.weight", 0);
    config.glyph_hidden = size_of("byt5_in.fc1.weight", 0);
    config.refiner_blocks = count_of("txt_in.individual_token_refiner.blocks.{}.norm1.weight");
    if (config.dim == 0 || config.head_dim == 0 || config.dim % config.head_dim != 0 || config.freq_dim == 0 ||
        config.mlp == 0 || config.text_dim == 0 || config.vision_dim == 0)
        return Error{ErrorCode::bad_input,
                     "has no 'time_in.mlp', 'txt_in', 'vision_in' or 'double_blocks.0' whose "
                     "sizes go together"};
    config.heads = config.dim / config.head_dim;
    config.rope_time_channels = config.head_dim / 8;
    config.rope_row_channels = (config.head_dim - config.rope_time_channels) / 2;
    config.rope_col_channels = config.rope_row_channels;
    if (const std::string problem = config.problem(); !problem.empty())
        return Error{ErrorCode::bad_input, "sizes do not fit together: " + problem};
    return config;
}

} // namespace wander
