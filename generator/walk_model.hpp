#pragma once
// A model ready to walk: networks, roll-out and cache of one walk, from the embedded world or a model folder.
//
// Built once by Walk::open; afterwards owned by the worker, except the decoder's weights, which the decode thread
// shares.

#include "generator/camera/camera_phrases.hpp"
#include "generator/device.hpp"
#include "generator/prompt_desk.hpp"
#include "generator/vision/plain/picture_scaling.hpp"
#include "generator/walk.hpp"
#include "generator/walk_loop.hpp"
#include "generator/wan/video_decoder.hpp"
#include "generator/world/embedded_world.hpp"

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace wander {

struct WalkModel {
    // The transformer as the cache sees it.
    struct Network {
        int layers = 0;
        int heads = 0;
        int head_dim = 0;
        int patch = 2; // latents a side of a token
    };

    std::string name;
    ComputeDevice device;
    std::shared_ptr<const EmbeddedWorld> world; // places and cameras; none for other models
    std::shared_ptr<WanDit> dit;                // none for models with another transformer
    Network network;
    std::shared_ptr<PromptDesk> prompts; // none: the text cannot change
    CameraPhrases phrases;
    std::string prompt; // the person's, as it is now
    bool camera_words = true;
    bool rebuild_on_prompt = false;
    std::shared_ptr<const VideoDecoder> decoder;
    std::vector<std::string> decoders; // as WalkInfo has it
    std::shared_ptr<WalkLoop> loop;
    std::vector<StartPoint> starts; // by name; the first is where a walk begins if nobody says anything
    std::filesystem::path assets;   // themes, for starts that are drawn
    // Any thread that holds the model: a start picture, [1, 3, height, width] float32 CPU in [-1, 1], as a latent
    // [C, rows, cols] float32 CPU. Empty: the model takes no pictures.
    std::function<Result<at::Tensor>(const at::Tensor& picture)> encode_start;
    // Instead of encode_start where a model looks at the whole picture, as it is in its file: `latent` and `view`.
    std::function<Result<WalkStart>(const Picture& picture)> encode_picture;
    bool needs_picture = false;          // no walk begins without
    std::vector<std::int64_t> view_size; // WalkStart::view of this model; empty: it has none
    bool keeps_walks = false;            // loop->memory() and rewind() work
    ContextSettings context;             // as WalkInfo has it
    int published_context = 0;           // likewise
    std::vector<int> contexts;           // likewise
    bool keep_decoder_state = false;     // WalkOptions
    // WalkMemory::decoder as the last run left it, where it is to be kept and the run was not stopped.
    std::map<std::string, at::Tensor> decoder_state;
    std::uint64_t seed = 0;             // of the noise
    bool camera_steering = true;        // keys move a camera; else they become words of the prompt
    std::shared_ptr<NoiseSource> noise; // what the roll-out draws from; replaced to change the seed
    int latent_rows = 0;
    int latent_cols = 0;
    int pixels_per_latent = 8;
    int chunk_latents = 1;
    WindowChoice window;
    CapacityFacts capacity;
    double fps = 16;
    std::vector<FormatInfo> formats;
    std::vector<std::string> warnings;

    void take_dit(std::shared_ptr<WanDit> loaded) {
        dit = std::move(loaded);
        const DitConfig& config = dit->config();
        network = {.layers = config.layers, .heads = config.heads, .head_dim = config.head_dim};
    }
    int width() const { return latent_cols * pixels_per_latent; }
    int height() const { return latent_rows * pixels_per_latent; }
    int token_rows() const { return latent_rows / network.patch; }
    int token_cols() const { return latent_cols / network.patch; }
    bool takes_pictures() const { return encode_start || encode_picture; }
};

Result<WalkModel> load_walk_model(const WalkOptions& options, const ComputeDevice& device);

} // namespace wander
