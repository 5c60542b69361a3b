#pragma once
// What the program asks the renderer to draw: where the picture goes, how it is scaled, what lies behind it.
//
// Rectangles are in the units of Dear ImGui (window units; the renderer multiplies by the framebuffer scale).

#include "render/plain/pixels.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>

namespace wander::render {

enum class UpscaleMode : std::uint8_t {
    nearest, // every source pixel as a block
    bicubic, // Catmull-Rom: neutral, may overshoot at hard edges
    sharp,   // follows edges: smooth along, steep across, never outside the values around (default)
};
inline constexpr std::array<std::string_view, 3> kUpscaleModeNames = {"nearest", "bicubic", "sharp"};

struct Rect {
    float x = 0;
    float y = 0;
    float width = 0;
    float height = 0;
};

struct DrawRequest {
    Rect picture_area; // the picture is letterboxed into it; an empty area means the whole window
    UpscaleMode upscale = UpscaleMode::sharp;
    std::array<float, 3> background = {0.055f, 0.059f, 0.067f}; // sRGB-encoded 0..1
};

// Pixel rectangle inside a framebuffer.
struct PixelRect {
    int x = 0;
    int y = 0;
    PixelSize size;
    bool operator==(const PixelRect&) const = default;
};

// The largest rectangle with the aspect ratio of `picture` inside `area` (pixels), centred and clipped to `target`.
inline PixelRect letterbox(const Rect& area, PixelSize picture, PixelSize target) {
    const float left = std::clamp(area.x, 0.0f, static_cast<float>(target.width));
    const float top = std::clamp(area.y, 0.0f, static_cast<float>(target.height));
    const float right = std::clamp(area.x + area.width, left, static_cast<float>(target.width));
    const float bottom = std::clamp(area.y + area.height, top, static_cast<float>(target.height));
    if (picture.empty() || right - left < 1 || bottom - top < 1) {
        return {};
    }
    const float scale = std::min((right - left) / static_cast<float>(picture.width),
                                 (bottom - top) / static_cast<float>(picture.height));
    PixelRect rect;
    rect.size.width = std::max(1, static_cast<int>(std::floor(static_cast<float>(picture.width) * scale + 0.01f)));
    rect.size.height = std::max(1, static_cast<int>(std::floor(static_cast<float>(picture.height) * scale + 0.01f)));
    rect.x = static_cast<int>(left + (right - left - static_cast<float>(rect.size.width)) / 2);
    rect.y = static_cast<int>(top + (bottom - top - static_cast<float>(rect.size.height)) / 2);
    return rect;
}

} // namespace wander::render
