#pragma once
// Reads a small picture file (PNG, JPEG) for a panel. Any thread.

#include "generator/plain/result.hpp"
#include "render/plain/pixels.hpp"

#include <filesystem>

namespace wander {

// bad_input with the path and the reason; files above 16 MiB and pictures above 4096 on a side are refused.
Result<render::Pixels> read_picture_file(const std::filesystem::path& path);

} // namespace wander
