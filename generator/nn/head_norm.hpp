#pragma once
// RMS norm of each head by itself: x / sqrt(mean(x^2) + eps) * weight over the head's channels, in float32 (double when
// computing in double), one rounding at the end. On an NVIDIA GPU bfloat16 goes through a kernel
// (cuda/head_norm.hpp); everything else, and the twin in the tests, is plain torch.

#include "generator/nn/rows.hpp"

#include <ATen/core/Tensor.h>

namespace wander::nn {

// x: [n, heads * head_dim] each, of one type; rows may lie apart. weights: [head_dim], float32 (or double). The inputs
// may be written over: use the results.
TwoRows head_norm_both(const TwoRows& x, const at::Tensor& first_weight, const at::Tensor& second_weight, double eps);
at::Tensor head_norm(const at::Tensor& x, const at::Tensor& weight, double eps);

namespace plain {
at::Tensor head_norm(const at::Tensor& x, const at::Tensor& weight, double eps);
} // namespace plain

} // namespace wander::nn
