#pragma once
// Gaussian noise keyed by (seed, absolute latent, step, purpose): chunk size, batching, device and threads do not
// change it. Formula: hash key -> splitmix64 counter -> Box-Muller in float64, rounded once to float32.

#include "generator/plain/hash.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace wander {

// Value for one latent: float32 CPU [shape].
using NoiseSource = std::function<at::Tensor(std::int64_t latent, int step, const std::vector<std::int64_t>& shape)>;

NoiseSource keyed_noise(std::uint64_t seed);

// Element i: sqrt(-2 ln u1) cos(2 pi u2), u from splitmix64(h + 2i), splitmix64(h + 2i + 1). float32 CPU.
at::Tensor gaussian_tensor(std::uint64_t h, const std::vector<std::int64_t>& shape);

} // namespace wander
