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
    at::Tensor weight;    // [out, in, k, k]
    at::Tensor bias;      // compute type, or undefined
    at::Tensor wide_bias; // the same in float32
    int padding = 0;
};
PlainConv make_plain_conv(const at::Tensor& weight, const at::Tensor& bias, at::Device device, at::ScalarType compute);

at::Tensor conv_only(const PlainConv& conv, const at::Tensor& x);
// Negative values are multiplied by `leak`.
at::Tensor conv_relu(const PlainConv& conv, const at::Tensor& x, bool fused, double leak = 0);
// relu(conv(x) + added).
at::Tensor conv_add_relu(const PlainConv& conv, const at::Tensor& x, const at::Tensor& added, bool fused,
                         double leak = 0);

// A value that is still to be summed: x + bias + residual. A convolution leaves it, whoever reads it next sums it.
struct Unsummed {
    at::Tensor x;        // [frames, channels, rows, columns]
    at::Tensor bias;     // float32 [channels] or undefined
    at::Tensor residual; // like x, or undefined
    // quarters: x is what up_conv left, [frames, 4 * channels, rows / 2 + 1, columns / 2 + 1]. boxes: of channels that
    // channels_to_space of vae_ops.hpp brings to pixels and frames, [.., 4 * times * channels, rows / 2, columns / 2];
    // of the frames so made those from `first` on, `shown` of them.
    enum class Layout { plain, quarters, boxes };
    Layout layout = Layout::plain;
    // Without residual: what is added enlarged. With quarters the input of a whole level, which goes around it
    // (repeat_up of vae22_ops.hpp), [n, channels or 2 channels, rows / 2, columns / 2]. With boxes the input of the
    // convolution that left them, brought to pixels and frames too and then its channels repeated. Frame t takes its
    // frame (first + t) / times.
    at::Tensor around = {};
    int times = 1;
    std::int64_t first = 0;
    std::int64_t shown = 0;

    std::int64_t frames() const { return layout == Layout::boxes ? shown : x.size(0); }
    std::int64_t channels() const;
    std::int64_t rows() const;
    std::int64_t columns() const;
    std::int64_t pixels() const { return rows() * columns(); }
    Unsummed slice(std::int64_t begin, std::int64_t count) const;
    at::Tensor summed() const; // in torch's operations
};

// Doubling pixels and then a 3x3 convolution is four 2x2 convolutions of the small picture, one for each quarter of a
// square: 4/9 of the products, and nobody writes the large picture. Both as one convolution: up_weight [out, in, 3, 3]
// -> [4 out, in, 2, 2], quarter 2 (row % 2) + column % 2 first.
at::Tensor up_weight(const at::Tensor& weight);
Unsummed up_conv(const at::Tensor& x, const at::Tensor& up_weight, const at::Tensor& bias);

// Every pixel to a square of four; times = 2: every frame to two, the first half of the channels being the earlier one.
// The first `drop` frames of the result are left out.
at::Tensor enlarge(const Unsummed& x, int times, std::int64_t drop, bool fused);
// x + bias + residual, every frame to two as above.
at::Tensor doubled_frames(const Unsummed& x);

// What follows runs in our kernels for bf16 on CUDA, else in torch's own operations: their twin.
//
// What a convolution reads that is causal in time: norm (with gamma defined) and SiLU of the sum, then each frame
// beside the two before it.
struct CausalInput {
    at::Tensor gamma; // float32 [channels] or undefined
    double eps = 0;   // added to the mean square
    bool silu = false;
    at::Tensor* past = nullptr; // [2, channels, rows, columns], made where undefined; null: one frame alone
    bool keep_sum = false;
    // Pictures get a pixel more on each side, which repeats their edge, and the past begins as the first frame; else it
    // begins with zeros.
    bool replicate = false;
};
struct CausalInputResult {
    at::Tensor frames; // [frames, channels or 3 * channels, rows, columns], or two rows and columns more
    at::Tensor sum;    // with keep_sum: x + bias + residual
};
bool causal_input_serves(std::int64_t channels);
CausalInputResult causal_input(const Unsummed& x, const CausalInput& how);

// A causal 3x3x3 convolution to 3 or 12 channels, which matrix units are too wide for: all products of every pixel as
// one matrix product, then their sums. The plain twin is run_conv of vae_ops.hpp, with from_column_patches for 12
// channels. tap_weight: from [out, 3 * in, 3, 3], taps side by side -> [27 out, in] and zeros up to a multiple of 8
// rows.
at::Tensor tap_weight(const at::Tensor& side_by_side);
// x: [frames, in, rows, columns], with `replicate` as causal_input leaves it; past: the two frames before, made where
// undefined; out: [frames, 3, patch rows, patch columns], channels last, for 3 patch^2 channels.
void conv_by_products(const at::Tensor& x, const at::Tensor& tap_weight, const at::Tensor& bias, at::Tensor& past,
                      const at::Tensor& out, bool replicate = false);

// qkv: [frames, 3 * channels, rows, columns]. Every frame on its own, one head over all pixels, scores in float32. The
// twin is attend_in_frames of vae_ops.hpp.
at::Tensor attend_by_products(const at::Tensor& qkv);

} // namespace wander
