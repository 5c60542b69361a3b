#pragma once
// Changes of size in HunyuanVideo 1.5's VAE: pixels and frames to channels and back, and the shortcuts beside them.
// Pictures are [frames, channels, height, width]. Internal to generator/hunyuan.

#include "generator/wan/vae_ops.hpp"

namespace wander {

// Beside an enlarging convolution. Where time doubles: to space first, then every channel repeated; else repeated
// first: the two orders pair channels differently. The video's first latent stays one frame: to 2 x 2 pixels only.
at::Tensor enlarged_shortcut(const at::Tensor& x, std::int64_t out_channels, int time, bool first);
// The convolution's own result; of the first latent the first half of its channels counts.
at::Tensor enlarged(const at::Tensor& x, int time, bool first);

// Beside a shrinking convolution: to channels, then the mean of neighbouring ones.
at::Tensor shrunk_shortcut(const at::Tensor& x, std::int64_t out_channels, int time);
// The convolution's own result; a single frame is packed in space only, and taken twice.
at::Tensor shrunk(const at::Tensor& x, int time);

} // namespace wander
