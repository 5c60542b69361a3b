#pragma once
// The chunk loop of one kind of model as a run drives it: controls in, clean latents out. Owned by the worker, one
// thread; InferenceMode is the caller's. On a GPU all work is queued on the current stream.

#include "generator/camera/steered_camera.hpp"
#include "generator/plain/control_state.hpp"
#include "generator/rollout/rollout.hpp"
#include "generator/rollout/worldplay_rollout.hpp"
#include "quant/kv_cache.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace wander {

// What a causal walk is so far. Keys and values are made again from it, so a walk that goes on is the same however
// often it does, but not the one that was never interrupted.
struct CausalMemory {
    std::vector<CleanChunk> chunks; // Rollout::clean_chunks(); the steering is Walker::State where there are cameras
    int place = 0;                  // WalkStart::world
};

// What a walk is so far: enough to go on from it. Of HY-WorldPlay bit for bit (hy-worldplay.md 5).
struct WalkMemory {
    WorldPlayHistory history;
    std::vector<SteeredCamera::State> steering; // at the beginning of every chunk, the next one included
    at::Tensor view;                            // WalkStart::view
    std::optional<CausalMemory> causal;         // instead of what is above
    // VideoDecodeStream::save() behind the last latent, on the CPU; empty: not kept, and latents lead a decoder there.
    std::map<std::string, at::Tensor> decoder;
};

// Latents that lead a decoder to where a resumed walk stands. With random weights, which remember longest,
// HY-WorldPlay's pictures are within 40 dB of those of the whole walk from the third latent behind it on.
inline constexpr std::int64_t kDecoderLead = 16;

// Where a run begins. A model without a place has none: its first chunk is made from noise.
struct WalkStart {
    at::Tensor latent; // [C, rows, cols] float32 CPU; undefined: none
    at::Tensor view;   // [tokens, dim] float32 CPU: the picture as a text side reads it; undefined: none does
    Pose pose;
    int world = 0;                    // of the embedded world
    std::optional<WalkMemory> memory; // goes on from here; then the rest has no meaning
};

// A prompt as the encoders say it, on any device.
struct PromptStates {
    at::Tensor text;  // [L, text_dim]
    at::Tensor glyph; // [g, glyph_dim]: what is quoted; undefined or no rows: nothing, or the model has no use for it
};

class WalkLoop {
public:
    // Latents that are ready to be seen, [n, C, rows, cols] on the device, and where the camera is at each of them (no
    // poses: the model has no camera). Called on the worker as early as they are known.
    using Show = std::function<void(const at::Tensor& latents, const std::vector<Pose>& poses)>;

    virtual ~WalkLoop() = default;

    // Forgets the walk and stands at the start; shows it where it is a picture.
    virtual void begin(const WalkStart& start, const Show& show) = 0;
    // The next chunk, steered by `state`, and whatever of the one after it does not depend on its controls.
    virtual void generate(const ControlState& state, const Show& show) = 0;

    // What the next chunk is made under.
    virtual void set_text(const PromptStates& prompt) = 0;

    virtual std::int64_t next_latent() const = 0; // absolute index of the next chunk's first latent
    virtual quant::KvCache& cache() = 0;
    // Of the last generate(); on a GPU it waits for that chunk's passes.
    virtual RolloutTimes last_times() const = 0;
    // How often the last generate() made a context that it had foreseen otherwise.
    virtual int contexts_made_again() const { return 0; }
    // The walk so far; nothing where it cannot be kept, or has no chunk yet.
    virtual std::optional<WalkMemory> memory() const { return std::nullopt; }
    // Forgets the newest chunks, at most all of them; false where walks cannot be kept. `show` gets the last latents
    // that are left, for a decoder that begins anew with them.
    virtual bool rewind(int /*chunks*/, const Show& /*show*/) { return false; }
    // DitPass::between_blocks of every pass; empty for none.
    virtual void set_between_blocks(std::function<void()> between_blocks) = 0;
};

} // namespace wander
