#pragma once
// byT5-small with the weights of Glyph-SDXL-v2: the encoder of text that shall stand in the picture (hy-worldplay.md
// 3.2). It is T5 1.1's encoder, so Umt5Encoder with one bias table for all layers computes it; ids come from
// plain/glyph_text.hpp.

#include "generator/text/checkpoint_part.hpp"
#include "generator/text/umt5_encoder.hpp"

#include <filesystem>
#include <string_view>

namespace wander {

// The published sizes; vocab is 0, since only the file says how many tokens for colours and fonts were appended.
Umt5Config byt5_small();

// Rows of byT5's own table. A file with no more than these is byT5 as it was before it learnt to draw letters.
inline constexpr int kByT5OwnRows = 384;

struct GlyphWeights {
    Umt5Config config;   // sizes as the shapes say
    CheckpointPart part; // names as Umt5Encoder::load wants them
};

// byt5_model.pt of Glyph-SDXL-v2, or the safetensors of a pipeline folder's T5 encoder. bad_input lists what does not
// fit, and says where a file of plain byT5 was given.
Result<GlyphWeights> open_glyph_weights(const std::filesystem::path& path);

// For tests: names of the file -> what they are.
TensorRole glyph_tensor_role(std::string_view name);

} // namespace wander
