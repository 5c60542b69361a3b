#include "generator/rollout/rollout.hpp"

#include <cmath>
#include <stdexcept>

namespace wander {

// Single precision on purpose, with the rounding of the reference's evenly spaced points (from both ends towards the
// middle, one rounding each): its step 500 is 833.333313, and a table in double moves flows by 2e-5.
std::vector<NoiseLevel> noise_table(double shift) {
    const auto shift_f = static_cast<float>(shift);
    const float step = -1.0f / kNoiseLevels;
    std::vector<NoiseLevel> table;
    for (int i = 0; i < kNoiseLevels; ++i) {
        const float s = i < kNoiseLevels / 2 ? std::fma(step, static_cast<float>(i), 1.0f)
                                             : -(step * static_cast<float>(kNoiseLevels - i));
        const float sigma = shift_f * s / (1.0f + (shift_f - 1.0f) * s);
        table.push_back({sigma * static_cast<float>(kNoiseLevels), sigma});
    }
    return table;
}

double nearest_sigma(const std::vector<NoiseLevel>& table, double timestep) {
    const NoiseLevel* best = &table.at(0);
    for (const NoiseLevel& level : table) {
        if (std::abs(level.timestep - timestep) < std::abs(best->timestep - timestep)) best = &level;
    }
    return best->sigma;
}

SamplerConfig SamplerConfig::self_forcing(double shift, const std::vector<int>& step_list) {
    SamplerConfig config;
    config.kind = Kind::renoise;
    const auto table = noise_table(shift);
    for (const int step : step_list) {
        if (step <= 0 || step > kNoiseLevels) throw std::invalid_argument("sampler steps lie in 1..1000");
        const NoiseLevel& level = table[static_cast<std::size_t>(kNoiseLevels - step)];
        config.timesteps.push_back(level.timestep);
        config.sigmas.push_back(level.sigma);
    }
    return config;
}

} // namespace wander
