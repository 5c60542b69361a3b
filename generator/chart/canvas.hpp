#pragma once
// A picture to draw charts and contact sheets on: filled rectangles, anti-aliased lines, text. No torch. One thread.

#include "generator/plain/result.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace wander::chart {

struct Colour {
    std::uint8_t red = 0;
    std::uint8_t green = 0;
    std::uint8_t blue = 0;
    bool operator==(const Colour&) const = default;
};

// A typeface out of assets/fonts. Immutable; any thread.
class Font {
public:
    // assets: the folder that holds fonts/. bad_input where the file is missing or no TrueType font.
    static Result<Font> load(const std::filesystem::path& assets, const std::string& name = "Roboto-Regular.ttf");

    // Pixels that a line of text takes at `size`, the height from ascent to descent.
    double width_of(std::string_view text, double size) const;

    struct Data;
    const Data& data() const { return *data_; }

private:
    std::shared_ptr<const Data> data_;
};

// Which part of a text lies at the given point, across and along.
enum class Anchor { begin, middle, end };

class Canvas {
public:
    Canvas(int width, int height, Colour background);

    int width() const { return width_; }
    int height() const { return height_; }
    Colour at(int x, int y) const;
    std::span<const std::uint8_t> rgb() const { return rgb_; }

    // What lies outside of the canvas is cut off.
    void fill(int x, int y, int width, int height, Colour colour);
    // Points in pixels, (0, 0) the upper left corner of the upper left pixel. thickness in pixels.
    void line(double x0, double y0, double x1, double y1, double thickness, Colour colour);
    void polyline(std::span<const double> xs, std::span<const double> ys, double thickness, Colour colour);
    // rgb: width * height * 3 bytes.
    void picture(int x, int y, int width, int height, std::span<const std::uint8_t> rgb);
    // UTF-8; what the font lacks is left out.
    void text(const Font& font, double size, double x, double y, std::string_view text, Colour colour,
              Anchor across = Anchor::begin, Anchor down = Anchor::begin);
    // The same, reading upwards.
    void text_upwards(const Font& font, double size, double x, double y, std::string_view text, Colour colour);

    // PNG under its name only when it is complete. io: says what and where.
    Result<void> write(const std::filesystem::path& file) const;

private:
    void blend(int x, int y, Colour colour, double share);

    int width_;
    int height_;
    std::vector<std::uint8_t> rgb_;
};

} // namespace wander::chart
