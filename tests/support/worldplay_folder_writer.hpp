#pragma once
// Writes folders of HY-WorldPlay models as they are downloaded: every file name, tensor name and shape, random values.

#include "generator/models/part_sizes.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace wander::test {

// The tiny VAE of so many latent channels, 16 pixels a side.
TaehvConfig tiny_with_patches(int channels, bool small);

struct WorldPlayRecipe {
    enum class Layout {
        diffusers, // VAE, text encoder and tokenizer of Wan2.2-TI2V-5B-Diffusers
        official   // of Wan2.2-TI2V-5B
    };
    Layout layout = Layout::diffusers;
    bool small = false;       // 2 layers of 256 channels, 128 x 192 pixels, 3,020 pieces
    bool scaffolding = false; // also the weights in wan_transformer/, which have no use
    bool with_text = true;
    std::uint64_t seed = 1;
    std::function<void(const std::string& line)> say; // optional: progress
};

struct WorldPlaySizes {
    DitConfig dit;
    Vae22Config vae;
    TaehvConfig tiny;
    Umt5Config text;
    int pieces = 0;    // of the tokenizer
    int extra_ids = 0; // <extra_id_N> among them
};
WorldPlaySizes worldplay_sizes(bool small);

// WAN-5B. Full size: 35.4 GB, with scaffolding 55.4 GB.
Result<void> write_worldplay_folder(const std::filesystem::path& folder, const WorldPlayRecipe& recipe);

} // namespace wander::test
