#pragma once
// Row-wise pieces of a transformer block, fused where that saves passes over memory.
//
// x is the residual stream: [groups * rows, dim] float32 (double when computing in double). shift, scale, gate:
// [groups, dim] of the same type, one row for each group of consecutive rows. Results have type `out`. eps is added to
// the variance or mean square. On the CPU float32 goes through SIMD code (rows_cpu.hpp), on an NVIDIA GPU float32 and
// bfloat16 through kernels (cuda/rows.hpp); everything else, and the twin in the tests, is plain torch.

#include <ATen/core/Tensor.h>

#include <utility>

namespace wander::nn {

// Rows as a layer takes them. E4M3 (an NVIDIA GPU only): a value is what is stored times its row's factor.
struct Activation {
    at::Tensor values; // [n, dim]
    at::Tensor scale;  // [n, 1] float32, else undefined
};

// What a layer adds to the residual stream: values, or values * row_scale * column_scale + bias.
struct Addend {
    Addend(at::Tensor plain) : values(std::move(plain)) {}
    at::Tensor values;                        // [n, dim]
    at::Tensor row_scale, column_scale, bias; // [n, 1], [dim], [dim] float32; all or none
};

// LN(x) * scale + shift; the caller folds "1 +" into scale once. weight-like use: groups = 1.
at::Tensor modulated_norm(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale, double eps,
                          at::ScalarType out);
// x / sqrt(mean(x^2) + eps) * weight over the whole last axis. x [n, dim], may have a row stride; weight [dim].
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);
// The same for two tensors of one shape and row stride, which may be written over: use the results.
struct TwoRows {
    at::Tensor first, second;
};
TwoRows rms_norm_both(const TwoRows& x, const at::Tensor& first_weight, const at::Tensor& second_weight, double eps);
// x += gate * y.
void add_gated(at::Tensor& x, const at::Tensor& y, const at::Tensor& gate);
// x += gate * y (an undefined gate: x += y; an undefined y: nothing), then what modulated_norm gives of x.
Activation add_gated_norm(at::Tensor& x, const Addend& y, const at::Tensor& gate, const at::Tensor& shift,
                          const at::Tensor& scale, double eps, at::ScalarType out);
// To E4M3 for a layer, with `gelu` after GELU (tanh form). x bfloat16, may have a row stride.
Activation quantise_rows(const at::Tensor& x, bool gelu);
// Tanh form, in place.
void gelu_(at::Tensor& x);

namespace plain {
at::Tensor modulated_norm(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale, double eps,
                          at::ScalarType out);
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);
void add_gated(at::Tensor& x, const at::Tensor& y, const at::Tensor& gate);
void gelu_(at::Tensor& x);
at::Tensor widen(const Addend& y);                        // to float32
Activation quantise_rows(const at::Tensor& x, bool gelu); // x of any type, in float32
at::Tensor dequantised(const Activation& x);              // what E4M3 rows stand for, float32
} // namespace plain

} // namespace wander::nn
