#pragma once
// Inputs of a transformer block's operations at a small size, from keyed noise.

#include "generator/rollout/noise.hpp"
#include "generator/train/ops.hpp"

#include <ATen/ATen.h>

#include <vector>

namespace wander::train::test {

struct BlockSize {
    std::int64_t batch, latents, tokens, heads; // latents: L, so 1 + 2 L of them lie in a row
    std::int64_t row() const { return 1 + 2 * latents; }
    std::int64_t dim() const { return heads * kHeadDim; }
};

inline at::Tensor noise(std::uint64_t seed, const std::vector<std::int64_t>& shape, const at::TensorOptions& options) {
    return gaussian_tensor(seed, shape).to(options);
}

struct BlockInputs {
    at::Tensor x, y, shift, scale, gate, qkv, norm_q, norm_k, q, k, v;
    Turns turns;
};

// The stream, factors, norms and turns of the options' type, y, qkv, q, k, v rounded to `compute` and of that type.
inline BlockInputs block_inputs(const BlockSize& size, const at::TensorOptions& options, at::ScalarType compute) {
    const std::int64_t batch = size.batch, row = size.row(), tokens = size.tokens, dim = size.dim();
    BlockInputs in;
    in.x = 1.5 * noise(1, {batch, row, tokens, dim}, options) + 0.3;
    in.y = noise(2, {batch, row, tokens, dim}, options).to(compute);
    in.shift = 0.3 * noise(3, {batch, row, dim}, options);
    in.scale = 1 + 0.3 * noise(4, {batch, row, dim}, options);
    in.gate = noise(5, {batch, row, dim}, options);
    in.qkv = (0.7 * noise(6, {batch, row, tokens, 3 * dim}, options)).to(compute);
    in.norm_q = 1 + 0.2 * noise(7, {dim}, options);
    in.norm_k = 1 + 0.2 * noise(8, {dim}, options);
    const std::vector<std::int64_t> heads = {batch, row * tokens, 2 * size.heads, kHeadDim};
    in.q = (1.5 * noise(9, heads, options)).to(compute);
    in.k = (1.5 * noise(10, heads, options)).to(compute);
    in.v = noise(11, heads, options).to(compute);
    const at::Tensor angle = 2 * noise(12, {row, tokens, 32}, options);
    // Neither orthogonal nor symmetric, so that a matrix the wrong way round shows.
    const at::Tensor unit = at::eye(4, options), camera = unit + 0.3 * noise(13, {batch, row, 4, 4}, options),
                     inverse = unit + 0.3 * noise(14, {batch, row, 4, 4}, options);
    in.turns = {angle.cos(), angle.sin(), camera, inverse};
    return in;
}

} // namespace wander::train::test
