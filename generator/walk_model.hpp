#pragma once
// A model ready to walk: networks, roll-out and cache of one walk, from the embedded world or a model folder.
//
// Built once by Walk::open; afterwards owned by the worker, except the decoder's weights, which the decode thread
// shares.

#include "generator/camera/camera_phrases.hpp"
#include "generator/device.hpp"
#include "generator/prompt_desk.hpp"
#include "generator/rollout/rollout.hpp"
#include "generator/walk.hpp"
#include "generator/wan/vae.hpp"
#include "generator/world/embedded_world.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace wander {

struct WalkModel {
    std::string name;
    ComputeDevice device;
    std::optional<EmbeddedWorld> world; // places and cameras; none for a text model
    std::shared_ptr<WanDit> dit;
    std::shared_ptr<PromptDesk> prompts; // none: the text cannot change
    CameraPhrases phrases;
    std::string prompt; // the person's, as it is now
    bool camera_words = true;
    bool rebuild_on_prompt = false;
    std::shared_ptr<const VideoDecoder> decoder;
    std::shared_ptr<Rollout> rollout;
    std::shared_ptr<NoiseSource> noise; // what the roll-out draws from; replaced to change the seed
    int latent_rows = 0;
    int latent_cols = 0;
    int chunk_latents = 1;
    WindowChoice window;
    CapacityFacts capacity;
    double fps = 16;
    std::vector<FormatInfo> formats;
    std::vector<std::string> warnings;

    int width() const { return latent_cols * 8; }
    int height() const { return latent_rows * 8; }
    int token_rows() const { return latent_rows / 2; }
    int token_cols() const { return latent_cols / 2; }
};

Result<WalkModel> load_walk_model(const WalkOptions& options, const ComputeDevice& device);

// The embedded world's encoder on a picture: [16, rows, cols] float32 CPU.
Result<at::Tensor> encode_picture(const WalkModel& model, const std::filesystem::path& picture);

} // namespace wander
