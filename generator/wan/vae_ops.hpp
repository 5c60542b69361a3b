#pragma once
// Operations of the VAE on pictures [frames, channels, height, width], channels last in memory. Internal to
// generator/wan.

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

namespace wander {

// A convolution over `taps` frames of the past (causal) and a square of pixels. Time taps are laid side by side as
// input channels of a 2-D convolution, which oneDNN and cuDNN do at full speed; the plain path on CUDA takes the 3-D
// form.
struct VaeConv {
    at::Tensor weight; // side by side: [out, taps * in, k, k]; else, with taps: [out, in, taps, k, k]
    at::Tensor bias;
    at::Tensor special_weight; // of the fused decoder, see vae_fused.hpp
    at::Tensor wide_bias;      // float32 (double for double)
    int taps = 1;
    int padding = 0; // pixels on each side
};

// The last two input frames of every causal convolution, by tensor name: the whole state of a stream.
using VaePast = std::map<std::string, at::Tensor>;

// weight as in the file: [out, in, taps, k, k] or [out, in, k, k].
VaeConv make_conv(const at::Tensor& weight, const at::Tensor& bias, at::Device device, at::ScalarType compute,
                  bool side_by_side);
at::Tensor run_conv(const VaeConv& conv, const std::string& name, const at::Tensor& x, VaePast& past);
// Stride 2 in time: frame 0 passes, then windows (0, 1, 2), (2, 3, 4), ... of the whole clip.
at::Tensor halve_time(const VaeConv& conv, const at::Tensor& x);
// One frame becomes two: the first half of the channels is the earlier one.
at::Tensor double_time(const at::Tensor& x);

// qkv: [frames, 3 * channels, rows, columns]. Every frame on its own, one head over all pixels.
at::Tensor attend_in_frames(const at::Tensor& qkv);

enum class VaeNorm { wan, mean_square }; // x / max(|x|, 1e-12) * sqrt(C), or x / sqrt(mean(x^2) + eps)
at::Tensor norm_silu(const at::Tensor& x, const at::Tensor& gamma, VaeNorm kind, double eps, bool silu);

// Channels to time (1 or 2) and 2 x 2 pixels, the factor outermost: channel = ((t * 2 + row) * 2 + column) * C + c.
at::Tensor channels_to_space(const at::Tensor& x, int time);
// The way back; frames are a multiple of `time`.
at::Tensor space_to_channels(const at::Tensor& x, int time);

// Pixels to channels and back; channel = (dy * patch + dx) * 3 + colour.
at::Tensor to_patches(const at::Tensor& pictures, int patch);
at::Tensor from_patches(const at::Tensor& x, int patch);

} // namespace wander
