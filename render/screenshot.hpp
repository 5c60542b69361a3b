#pragma once
// Writes a picture as a PNG (RGB8, alpha dropped) that carries facts about itself as text chunks. Any thread.

#include "generator/plain/result.hpp"
#include "render/plain/pixels.hpp"

#include <filesystem>
#include <map>
#include <string>

namespace wander::render {

// The file appears under its name only when it is complete. Facts become iTXt chunks (PNG 1.2, 4.2.3.3): keys 1..79
// bytes of ASCII, values UTF-8. io: folder missing, not writable or full.
Result<void> write_png(const std::filesystem::path& file, const PixelView& picture,
                       const std::map<std::string, std::string>& facts);

} // namespace wander::render
