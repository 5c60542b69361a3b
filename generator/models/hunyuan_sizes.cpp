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

} // namespace wander
