#pragma once
// Writes folders of HY-WorldPlay 8B as public scripts lay them out: every file name, tensor name and shape, random
// values. The tokenizer has few merges, and the instruction for
// the text encoder, which is not ours, is another one: wander.json names it, and code/text_encoders.py holds it as the
// model's own code holds the real one.

#include "generator/hunyuan/hunyuan_vae.hpp"
#include "generator/models/part_sizes.hpp"
#include "generator/text/qwen_text.hpp"
#include "generator/vision/siglip.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace wander::test {

struct HunyuanRecipe {
    bool small = false; // 128 x 192 pixels, 3 blocks of 256 channels, VAE of 8 to 16, encoders of 2 layers
    bool with_text = true;
    std::uint64_t seed = 1;
    std::function<void(const std::string& line)> say; // optional: progress
};

struct HunyuanSizes {
    struct Transformer {
        std::int64_t dim = 2048;
        std::int64_t layers = 54;
        std::int64_t head_dim = 128;
        std::int64_t mlp = 8192;
        std::int64_t glyph_hidden = 2048;
    };
    Transformer dit;
    HunyuanVaeConfig vae;
    TaehvConfig tiny;
    QwenTextConfig text;
    SiglipConfig vision;
    Umt5Config glyph;
};
HunyuanSizes hunyuan_sizes(bool small);

// hy-worldplay.md 2.2, written down on its own: 1,905 tensors at full size.
ShapeTable published_hunyuan_shapes(const HunyuanSizes& sizes);

Result<void> write_hunyuan_folder(const std::filesystem::path& folder, const HunyuanRecipe& recipe);

} // namespace wander::test
