#include "render/screenshot.hpp"

#include "generator/plain/atomic_file.hpp"
#include "generator/plain/png.hpp"

#include <cassert>
#include <cstdint>
#include <vector>

namespace wander::render {

Result<void> write_png(const std::filesystem::path& file, const PixelView& picture,
                       const std::map<std::string, std::string>& facts) {
    assert(!picture.size.empty());
    const std::size_t pixels = picture.size.bytes() / 4;
    std::vector<std::uint8_t> rgb(pixels * 3);
    for (std::size_t i = 0; i < pixels; ++i) {
        for (std::size_t c = 0; c < 3; ++c) rgb[i * 3 + c] = picture.rgba[i * 4 + c];
    }
    auto bytes = png_bytes(rgb, picture.size.width, picture.size.height, facts);
    if (!bytes) return Error{bytes.error().code, "cannot write " + file.string() + ": " + bytes.error().message};
    return write_file_atomically(file, *bytes);
}

} // namespace wander::render
