#pragma once
// A picture of one's own as a start: decoded, cropped and scaled to the model's size. Any thread.

#include "generator/plain/result.hpp"

#include <ATen/core/Tensor.h>

#include <filesystem>

namespace wander {

// PNG, JPEG, BMP and what else stb_image reads; at most 64 MiB and 16384 pixels a side. The middle part with the aspect
// of width : height is averaged down (or interpolated up). [1, 3, height, width] float32 CPU in [-1, 1].
Result<at::Tensor> read_picture(const std::filesystem::path& path, int width, int height);

} // namespace wander
