#pragma once
// The chunk loop of a causal video model: noise, denoise passes, context pass. Shared by every Wan model.
//
// Two samplers: "renoise" (Self-Forcing: x0, then fresh noise to the next level) and "euler" (embedded world: flow
// Euler steps). One thread; InferenceMode is the caller's.

#include "generator/plain/control_state.hpp"
#include "generator/rollout/clean_chunks.hpp"
#include "generator/rollout/noise.hpp"
#include "generator/wan/dit.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace wander {

inline constexpr int kNoiseLevels = 1000;
struct NoiseLevel {
    double timestep = 0;
    double sigma = 0;
};
// Self-Forcing's table of float32 values, noisiest first (self-forcing.md 6.1).
std::vector<NoiseLevel> noise_table(double shift);
// Sigma of the entry whose timestep is nearest.
double nearest_sigma(const std::vector<NoiseLevel>& table, double timestep);

struct SamplerConfig {
    enum class Kind { renoise, euler };
    Kind kind = Kind::euler;
    std::vector<double> timesteps; // as the model sees them
    std::vector<double> sigmas;    // one per timestep; euler ends at 0
    double context_timestep = 0;
    // Self-Forcing: timesteps and sigmas from a shift and a step list (float32 table, self-forcing.md 6.1).
    static SamplerConfig self_forcing(double shift, const std::vector<int>& step_list);
};

struct ChunkInput {
    int latents = 1;
    std::vector<int> labels; // per latent when the model takes labels
    std::vector<Pose> poses; // per latent when the model takes cameras
    at::Tensor token_bias;   // [latents * tokens, dim] or undefined
    // Of who steers, behind this chunk: kept with it, not read here.
    std::vector<double> steering;
};

struct RolloutTimes {
    double denoise_ms = 0;
    double context_ms = 0;
};

class Rollout {
public:
    struct Config {
        SamplerConfig sampler;
        int rows = 0; // latent height, width
        int cols = 0;
        bool slot_positions = false; // time positions = slots (embedded) or absolute latents (Self-Forcing)
        // PRoPE (embedded): world-to-camera from Pose, tiny-world.md 4
        double period = 0; // torus; 0 = none
        double translation_scale = 1;
        double focal_x = 0.6; // over width
        double focal_y = 0.6; // over height
        // Sees every denoise pass (its input and the velocity): for traces and tests.
        std::function<void(int step, const at::Tensor& input, const at::Tensor& velocity)> on_step;
        // On a GPU: the noise of the next chunk, of as many latents, is drawn while the GPU works on this one.
        bool draw_ahead = false;
        // DitPass::between_blocks of every pass.
        std::function<void()> between_blocks;
        // Keeps the chunks that were made, so that rebuild_history() and restore() can run: all that the next one
        // needs, and as many older ones as fit into kept_bytes. On a GPU in pinned memory of the host.
        bool keep_latents = false;
        std::int64_t kept_bytes = std::int64_t{128} << 20;
    };
    Rollout(std::shared_ptr<const WanDit> dit, std::unique_ptr<quant::KvCache> cache, Config config, NoiseSource noise);

    // Clean latents [F, C, h, w] enter history through the context pass (start picture, prefill).
    void prefill(const at::Tensor& latents, const ChunkInput& input);
    // Denoises the next chunk and runs its context pass. Returns clean latents [F, C, h, w], float32 (or double).
    // `denoised` is called before the context pass so that decoding can start.
    at::Tensor generate(const ChunkInput& input, const std::function<void(const at::Tensor&)>& denoised = {});

    // Makes the keys and values of what the next chunk sees again (first_rebuilt()), chunk by chunk, under what the
    // model is told now (another text): self-forcing.md 6.5. Packed pages are packed again. Needs
    // Config::keep_latents. token_bias: a chunk's, where the model takes it.
    void rebuild_history(const std::function<at::Tensor(const std::vector<Pose>&)>& token_bias = {});

    // The chunks that are kept, oldest first, the sink's among them; between the two may lie a gap. On a GPU it waits.
    const std::vector<CleanChunk>& clean_chunks() const;
    // Stands behind the last of these chunks, which first_rebuilt() must take. Then rebuild_history() is due.
    void restore(std::vector<CleanChunk> chunks);

    // Goes on at a later latent, as after KvCache::skip_to.
    void set_next_latent(std::int64_t latent);
    std::int64_t next_latent() const; // absolute index of the next chunk's first latent
    quant::KvCache& cache();
    // Of the last generate(); on a GPU it waits for that chunk's passes.
    RolloutTimes last_times() const;
    void reset();
    // Replaces Config::between_blocks; empty for none.
    void set_between_blocks(std::function<void()> between_blocks);

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

} // namespace wander
