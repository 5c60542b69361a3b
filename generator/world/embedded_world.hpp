#pragma once
// The embedded world: what assets/world/world.json says, checked, and the start latents beside it. Immutable; any
// thread.

#include "generator/camera/prope.hpp"
#include "generator/camera/walkable_map.hpp"
#include "generator/camera/walker.hpp"
#include "generator/rollout/rollout.hpp"
#include "generator/walk.hpp"
#include "generator/wan/dit.hpp"
#include "generator/wan/vae.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace wander {

struct EmbeddedWorld {
    std::filesystem::path folder;
    std::string name;
    int width = 0;
    int height = 0;
    double fps = 16;
    int chunk_latents = 1;
    int window_latents = 0;
    int sink_latents = 0;
    int page_latents = 4; // of the cache; not in the file, since it is a choice of storing, not of the model
    DitConfig dit;
    VaeConfig vae;
    SamplerConfig sampler;
    CameraModel camera;
    WalkerLimits limits;
    std::vector<std::string> worlds; // names, by number
    std::vector<WalkableMap> maps;   // by number
    std::vector<StartPoint> starts;
    std::vector<std::string> start_latents; // tensor names in starts.safetensors, as `starts`

    // bad_input with file and key for anything missing, foreign or out of range.
    static Result<EmbeddedWorld> read(const std::filesystem::path& folder);

    int latent_rows() const { return height / 8; }
    int latent_cols() const { return width / 8; }

    int token_rows() const { return latent_rows() / 2; } // the patch is 2 x 2
    int token_cols() const { return latent_cols() / 2; }
    // How this world is walked, whoever walks: its cache, its sampler and its cameras.
    quant::CacheShape cache_shape() const;
    Rollout::Config rollout_config() const;

    std::optional<int> world_number(const std::string& name) const;
    std::optional<std::size_t> find_start(const std::string& name) const;
    std::string start_names() const; // "village_fountain, ..." for messages
    std::string world_names() const;
    // [16, rows, cols] float32 CPU.
    Result<at::Tensor> start_latent(std::size_t start) const;
    // Have the files of both networks every tensor, in its shape? Weights are not read.
    Result<void> check_weights() const;
};

} // namespace wander
