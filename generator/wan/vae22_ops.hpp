#pragma once
// What the Wan 2.2 VAE does besides the layers of the Wan 2.1 one: shortcuts around whole levels, another order of
// patches, time halved call by call. Pictures are [frames, channels, height, width]. Internal to generator/wan.

#include "generator/wan/vae_ops.hpp"

namespace wander {

// Space and time to channels with the channel outermost, (c * time + t) * space^2 + row * space + column, then the mean
// of each group of neighbouring channels. An odd number of frames gets a zero frame in front.
at::Tensor average_down(const at::Tensor& x, std::int64_t out_channels, int time, int space);

// The mirror image: every channel repeated, then channels to time and space in the same order. The first latent of a
// video stays one frame: of its doubled frames the first is dropped.
at::Tensor repeat_up(const at::Tensor& x, std::int64_t out_channels, int time, int space, bool first);

// Halves time in calls: the video's first frame passes, then windows (0, 1, 2), (2, 3, 4), ... whose first frame may be
// the last one of the call before (kept under `name`). A first call has 1 + 2n frames, a later one 2n.
at::Tensor halve_time_streamed(const VaeConv& conv, const std::string& name, const at::Tensor& x, VaePast& past);

// Pixels to channels and back; channel = colour * patch^2 + column * patch + row.
at::Tensor to_column_patches(const at::Tensor& pictures, int patch);
at::Tensor from_column_patches(const at::Tensor& x, int patch);

} // namespace wander
