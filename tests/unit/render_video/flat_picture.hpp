#pragma once
// Pictures of one colour, and the colour that frame `index` of the tests' recordings has.

#include "render/plain/pixels.hpp"

#include <array>

namespace wander::test {

inline render::Pixels flat_picture(render::PixelSize size, std::array<int, 3> rgb) {
    render::Pixels picture{size, std::vector<std::uint8_t>(size.bytes(), 255)};
    for (std::size_t i = 0; i < picture.rgba.size(); i += 4) {
        for (std::size_t c = 0; c < 3; ++c) picture.rgba[i + c] = static_cast<std::uint8_t>(rgb[c]);
    }
    return picture;
}

inline std::array<int, 3> colour_of(int index) {
    return {20 + index * 53 % 220, 20 + index * 97 % 220, 20 + index * 29 % 220};
}

} // namespace wander::test
