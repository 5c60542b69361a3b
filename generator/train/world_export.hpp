#pragma once
// Writes a trained world as a folder of the form of assets/world: world.json, dit.safetensors and vae.safetensors in
// half precision, start pictures with their latents, and the themes beside them. docs/formats.md, "World folder".

#include "generator/train/parameters.hpp"
#include "generator/wan/dit.hpp"
#include "generator/wan/vae.hpp"
#include "generator/world/theme/theme.hpp"

#include <ATen/core/Tensor.h>

#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace wander::train {

// A place of the world; its number is its place in the list.
struct WorldTheme {
    std::filesystem::path file; // is copied to themes/NAME.json
    Theme theme;
};

struct WorldDescription {
    std::string name = "embedded";
    int width = 192;
    int height = 112;
    double fps = 16;
    int window_latents = 24;
    double context_timestep = 14;
    std::vector<double> timesteps = {1000, 600};
    double focal_over_width = 0.6;
    double translation_scale = 0.3;
    DitConfig dit;
    VaeConfig vae;                                     // with latent_mean and latent_std
    nlohmann::json figures = nlohmann::json::object(); // goes into world.json as it is
    std::string card;                                  // README.md; empty: none
};

// dit, vae: Parameters::source() of the averages, or of a checkpoint; any floating type and device.
// Atomically: writes FOLDER.part and renames it; an earlier FOLDER is replaced only then. The start latents are made by
// the autoencoder as it stands in the file, on the CPU in float32. io, or bad_input when themes, sizes and tensors do
// not fit. threads: of the renderer, 0: one for each core.
Result<void> write_world(const std::filesystem::path& folder, const WorldDescription& description,
                         const std::vector<WorldTheme>& themes, const TensorSource& dit, const TensorSource& vae,
                         int threads = 0);

} // namespace wander::train
