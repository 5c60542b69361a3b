#pragma once
// A picture of one's own as a start: decoded, cropped and scaled to the model's size. Any thread.

#include "generator/plain/result.hpp"
#include "generator/vision/plain/picture_scaling.hpp"

#include <ATen/core/Tensor.h>

#include <filesystem>

namespace wander {

// As it is in the file: PNG, JPEG, BMP and what else stb_image reads; at most 64 MiB and 16384 pixels a side.
Result<Picture> read_picture_levels(const std::filesystem::path& path);

// The middle part with the aspect of width : height is averaged down (or interpolated up). [1, 3, height, width]
// float32 CPU in [-1, 1].
Result<at::Tensor> read_picture(const std::filesystem::path& path, int width, int height);

} // namespace wander
