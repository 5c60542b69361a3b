#pragma once
// Pictures in host memory: RGBA8, rows tightly packed, top row first, colours as the monitor gets them (sRGB-encoded).

#include <cstddef>
#include <cstdint>
#include <vector>

namespace wander::render {

struct PixelSize {
    int width = 0;
    int height = 0;

    bool empty() const { return width <= 0 || height <= 0; }
    std::size_t bytes() const { return static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 4; }
    bool operator==(const PixelSize&) const = default;
};

// Owns its bytes.
struct Pixels {
    PixelSize size;
    std::vector<std::uint8_t> rgba;
};

// Borrows bytes that somebody else keeps alive for the duration of a call.
struct PixelView {
    PixelSize size;
    const std::uint8_t* rgba = nullptr;
};

} // namespace wander::render
