#pragma once
// How the HY-WorldPlay models make a chunk, as data: levels of noise, context, what the start picture is. Euler steps,
// no guidance: x += flow * (sigma_next - sigma) (hy-worldplay.md 5 and 7.3). Pure, any thread.

#include "generator/memory/context_choice.hpp"
#include "generator/rollout/rollout.hpp"

#include <cstdint>
#include <vector>

namespace wander {

struct WorldPlaySchedule {
    SamplerConfig sampler;
    ContextRules context;
    double frames_per_second = 24;
    // The start picture's latent is latent 0 itself: it is never denoised and stands at the context's timestep from the
    // first step on. Else it only steers (extra input channels) and latent 0 comes out of noise like the others.
    bool start_latent_is_fixed = false;

    static WorldPlaySchedule worldplay_8b();
    // context_latents: 16 as published, 48 or 56 for long contexts.
    static WorldPlaySchedule wan_5b(int context_latents = 16);
};

// One chunk of four latents, from latent `first` on.
struct WorldPlayChunk {
    ChunkPositions positions;       // of n context latents and of the chunk
    int fixed = 0;                  // latents at its beginning that are given
    int steered = kLatentsPerChunk; // latents that the keys of this chunk move: all but the start itself

    // What the network is told about each latent at a step.
    std::vector<double> timesteps(const SamplerConfig& sampler, std::size_t step) const;
};
WorldPlayChunk plan_chunk(const WorldPlaySchedule& schedule, std::int64_t first, std::size_t context_latents,
                          bool has_start_picture);

// x, flow: [latents, C, h, w]. The chunk after a step; its fixed latents stay. In the type of x.
at::Tensor euler_step(const SamplerConfig& sampler, std::size_t step, const at::Tensor& x, const at::Tensor& flow,
                      int fixed);

} // namespace wander
