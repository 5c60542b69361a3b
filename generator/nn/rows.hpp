#pragma once
// Row-wise pieces of a transformer block, fused where that saves passes over memory.
//
// x is the residual stream: [groups * rows, dim] float32 (double when computing in double). shift, scale, gate:
// [groups, dim] of the same type, one row for each group of consecutive rows. Results have type `out`. eps is added to
// the variance or mean square. On the CPU float32 goes through SIMD code (rows_cpu.hpp); everything else, and the twin
// in the tests, is plain torch.

#include <ATen/core/Tensor.h>

namespace wander::nn {

// LN(x) * scale + shift; the caller folds "1 +" into scale once. weight-like use: groups = 1.
at::Tensor modulated_norm(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale, double eps,
                          at::ScalarType out);
// x / sqrt(mean(x^2) + eps) * weight over the whole last axis. x [n, dim], may have a row stride; weight [dim].
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);
// x += gate * y.
void add_gated(at::Tensor& x, const at::Tensor& y, const at::Tensor& gate);
// Tanh form, in place.
void gelu_(at::Tensor& x);

namespace plain {
at::Tensor modulated_norm(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale, double eps,
                          at::ScalarType out);
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);
void add_gated(at::Tensor& x, const at::Tensor& y, const at::Tensor& gate);
void gelu_(at::Tensor& x);
} // namespace plain

} // namespace wander::nn
