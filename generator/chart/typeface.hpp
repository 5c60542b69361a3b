#pragma once
// What a Canvas needs of a typeface. Room-internal. Immutable; any thread.

#include "generator/plain/result.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace wander::chart {

// Coverage 0..255 of a glyph, by rows; (left, top) against its place on the base line, y downwards.
struct GlyphShape {
    int left = 0;
    int top = 0;
    int width = 0;
    int height = 0;
    std::vector<std::uint8_t> cover;
};

class Typeface {
public:
    static Result<std::shared_ptr<const Typeface>> read(const std::filesystem::path& file);

    // `size`: pixels from ascent to descent.
    double ascent(double size) const;
    // Calls `glyph` with every glyph and where it begins; returns the width of the text.
    double place(const std::u32string& text, double size, const std::function<void(int, double)>& glyph) const;
    // shift: 0..1 pixel to the right.
    GlyphShape draw(int glyph, double size, double shift) const;

private:
    struct State;
    std::shared_ptr<const State> state_;
};

} // namespace wander::chart
