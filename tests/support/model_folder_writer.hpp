#pragma once
// Writes complete model folders as they are downloaded: every file name, tensor name and shape, random values that keep
// activations sane. Tensors are streamed, so memory stays below some 250 MB at any size.

#include "generator/models/part_sizes.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace wander::test {

struct ModelFolderRecipe {
    enum class Layout { official, diffusers };
    Layout layout = Layout::official;
    bool small = false; // a consistent small model: 3 layers of 256 channels, 64x96 pixels, 3,020 pieces
    std::uint64_t seed = 1;
    bool with_text = true;
    bool wide_text = false;                           // the text encoder in float32, not bf16
    std::function<void(const std::string& line)> say; // optional: progress
};

struct ModelSizes {
    DitConfig dit;
    VaeConfig vae;
    TaehvConfig tiny;
    Umt5Config text;
    int pieces = 0;    // of the tokenizer
    int extra_ids = 0; // <extra_id_N> among them
};
ModelSizes sizes_of(bool small);

Result<void> write_model_folder(const std::filesystem::path& folder, const ModelFolderRecipe& recipe);

} // namespace wander::test
