#pragma once
// RMS norm over channels and SiLU, differentiable: what stands before every convolution of the autoencoder. On a GPU in
// bfloat16 one kernel forward and one backward; else torch's own operations (plain). Any thread.

#include <ATen/core/Tensor.h>

namespace wander::train {

// x [..., C] dense; gamma [C], any floating type; eps is added to the mean square. Returns x's shape and type.
at::Tensor norm_silu_rows(const at::Tensor& x, const at::Tensor& gamma, double eps);

namespace plain {

at::Tensor norm_silu_rows(const at::Tensor& x, const at::Tensor& gamma, double eps);

} // namespace plain

} // namespace wander::train
