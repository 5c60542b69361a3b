#pragma once
// Operations that both decoders share, on pictures [frames, channels, rows, columns], channels last in memory. Internal
// to generator/wan.
//
// `fused`: through our kernels and cuDNN's fused convolutions, on a CUDA device in bf16. Otherwise, and as the twin in
// tests and benches, the same in torch's own operations.

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace wander {

// A convolution over a square of pixels, stride 1, same size.
struct PlainConv {
    at::Tensor weight; // [out, in, k, k]
    at::Tensor bias;   // compute type, or undefined
    int padding = 0;
};
PlainConv make_plain_conv(const at::Tensor& weight, const at::Tensor& bias, at::Device device, at::ScalarType compute);

at::Tensor conv_only(const PlainConv& conv, const at::Tensor& x);
at::Tensor conv_relu(const PlainConv& conv, const at::Tensor& x, bool fused);
// relu(conv(x) + added).
at::Tensor conv_add_relu(const PlainConv& conv, const at::Tensor& x, const at::Tensor& added, bool fused);

// A value that is still to be summed: x + bias + residual. A convolution leaves it, whoever reads it next sums it.
struct Unsummed {
    at::Tensor x;        // [frames, channels, rows, columns]
    at::Tensor bias;     // float32 [channels] or undefined
    at::Tensor residual; // like x, or undefined

    std::int64_t frames() const { return x.size(0); }
    std::int64_t pixels() const { return x.size(2) * x.size(3); }
    Unsummed slice(std::int64_t begin, std::int64_t count) const;
    at::Tensor summed() const; // in torch's operations
};

// Every pixel to a square of four; times = 2: every frame to two, the first half of the channels being the earlier one.
// The first `drop` frames of the result are left out.
at::Tensor enlarge(const Unsummed& x, int times, std::int64_t drop, bool fused);

// What a convolution reads that is causal in time: norm (with gamma defined) and SiLU of the sum, then each frame beside
// the two before it. bf16 on CUDA; the plain twin is norm_silu and run_conv of vae_ops.hpp.
struct CausalInput {
    at::Tensor gamma;     // float32 [channels] or undefined
    double eps = 0;       // added to the mean square
    bool silu = false;
    at::Tensor* past = nullptr; // [2, channels, rows, columns], made with zeros where undefined; null: one frame alone
    bool keep_sum = false;
};
struct CausalInputResult {
    at::Tensor frames; // [frames, channels or 3 * channels, rows, columns]
    at::Tensor sum;    // with keep_sum: x + bias + residual
};
bool causal_input_serves(std::int64_t channels);
CausalInputResult causal_input(const Unsummed& x, const CausalInput& how);

} // namespace wander
