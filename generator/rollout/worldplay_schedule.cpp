#include "generator/rollout/worldplay_schedule.hpp"

#include <ATen/ATen.h>

namespace wander {

namespace {

constexpr double kContextTimestep = 14;

} // namespace

// sigma = 5 u / (1 + 4 u) at u = 1, 3/4, 1/2, 1/4; the network sees 1000 sigma, in single precision (833.3333).
WorldPlaySchedule WorldPlaySchedule::worldplay_8b() {
    constexpr float kShift = 5;
    WorldPlaySchedule schedule;
    schedule.sampler.kind = SamplerConfig::Kind::euler;
    schedule.sampler.context_timestep = kContextTimestep;
    for (const float u : {1.0F, 0.75F, 0.5F, 0.25F}) {
        const float sigma = kShift * u / (1 + (kShift - 1) * u);
        schedule.sampler.sigmas.push_back(sigma);
        schedule.sampler.timesteps.push_back(sigma * static_cast<float>(kNoiseLevels));
    }
    schedule.context = ContextRules::worldplay_8b();
    return schedule;
}

// A list of timesteps rounded to four digits; the levels of noise follow from it.
WorldPlaySchedule WorldPlaySchedule::wan_5b(int context_latents) {
    WorldPlaySchedule schedule;
    schedule.sampler.kind = SamplerConfig::Kind::euler;
    schedule.sampler.context_timestep = kContextTimestep;
    schedule.sampler.timesteps = {1000, 960, 888.8889, 727.2728};
    for (const double timestep : schedule.sampler.timesteps) schedule.sampler.sigmas.push_back(timestep / kNoiseLevels);
    schedule.context = ContextRules::wan_5b_long(context_latents);
    schedule.frames_per_second = 16;
    schedule.start_latent_is_fixed = true;
    return schedule;
}

std::vector<double> WorldPlayChunk::timesteps(const SamplerConfig& sampler, std::size_t step) const {
    std::vector<double> list(positions.chunk.size(), sampler.timesteps.at(step));
    for (std::size_t i = 0; i < static_cast<std::size_t>(fixed); ++i) list.at(i) = sampler.context_timestep;
    return list;
}

WorldPlayChunk plan_chunk(const WorldPlaySchedule& schedule, std::int64_t first, std::size_t context_latents,
                          bool has_start_picture) {
    WorldPlayChunk chunk;
    chunk.positions = reframed_positions(context_latents, kLatentsPerChunk);
    if (first == 0) {
        chunk.fixed = has_start_picture && schedule.start_latent_is_fixed ? 1 : 0;
        chunk.steered = kLatentsPerChunk - 1; // latent 0 is where the walk begins
    }
    return chunk;
}

at::Tensor euler_step(const SamplerConfig& sampler, std::size_t step, const at::Tensor& x, const at::Tensor& flow,
                      int fixed) {
    const double end = step + 1 < sampler.sigmas.size() ? sampler.sigmas[step + 1] : 0.0;
    const std::int64_t moving = x.size(0) - fixed;
    const at::Tensor next = at::add(x.narrow(0, fixed, moving), flow.to(x.scalar_type()).narrow(0, fixed, moving),
                                    end - sampler.sigmas.at(step));
    return fixed == 0 ? next : at::cat({x.narrow(0, 0, fixed), next});
}

} // namespace wander
