#include "generator/rollout/noise.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cmath>
#include <numbers>

namespace wander {

at::Tensor gaussian_tensor(std::uint64_t h, const std::vector<std::int64_t>& shape) {
    at::Tensor out = at::empty(shape, at::kFloat);
    float* values = out.data_ptr<float>();
    at::parallel_for(0, out.numel(), 4096, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
            const std::uint64_t counter = h + 2 * static_cast<std::uint64_t>(i);
            const double u1 = (static_cast<double>(splitmix64(counter) >> 40) + 0.5) * 0x1p-24;
            const double u2 = static_cast<double>(splitmix64(counter + 1) >> 40) * 0x1p-24;
            values[i] = static_cast<float>(std::sqrt(-2.0 * std::log(u1)) * std::cos(2.0 * std::numbers::pi * u2));
        }
    });
    return out;
}

NoiseSource keyed_noise(std::uint64_t seed) {
    return [seed](std::int64_t latent, int step, const std::vector<std::int64_t>& shape) {
        // Each part is mixed before the next is added, so that neighbouring keys share no part of their sequences.
        std::uint64_t key = splitmix64(seed ^ fnv1a64("denoise"));
        key = splitmix64(key ^ static_cast<std::uint64_t>(latent));
        key = splitmix64(key ^ static_cast<std::uint64_t>(step));
        return gaussian_tensor(key, shape);
    };
}

} // namespace wander
