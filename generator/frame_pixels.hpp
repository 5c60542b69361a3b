#pragma once
// Decoded frames to RGBA8. Runs on the decode thread.

#include "generator/wan/video_decoder.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace wander {

// frame: [3, H, W] in `range`, any floating type, any device. Values beyond are clamped; A = 255. Halves round to even
// on every device, so that all give the same bytes.
// To host memory of H * W * 4 bytes; waits for the device.
void frame_to_host(const at::Tensor& frame, PixelRange range, std::uint8_t* out);
// To memory of the frame's own CUDA device; queued on the current stream.
void frame_to_device(const at::Tensor& frame, PixelRange range, void* out);

// The plain twin, in torch's operations: [H, W, 4] on the frame's device.
at::Tensor rgba_of(const at::Tensor& frame, PixelRange range);
// The same colours of several frames [N, 3, H, W] at once: [N, H, W, 3] on their device.
at::Tensor rgb_of(const at::Tensor& frames, PixelRange range);

} // namespace wander
