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

class Typeface;

// A typeface out of assets/fonts. Immutable; any thread.
class Font {
public:
    // assets: the folder that holds fonts/. bad_input where the file is missing or no TrueType font.
    static Result<Font> load(const std::filesystem::path& assets, const std::string& name = "Roboto-Regular.ttf");

    // Pixels that a line of text takes at `size`, the height from ascent to descent.
    double width_of(std::string_view text, double size) const;

    const Typeface& face() const { return *face_; }

private:
    std::shared_ptr<const Typeface> face_;
};

// Which part of a text lies at the given point.
enum class Anchor : std::uint8_t { begin, middle, end };

struct Box { // pixels, the right and lower border not included
    int left = 0;
    int top = 0;
    int right = 0;
    int bottom = 0;
};

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
    // As one stroke, within `clip` alone.
    void polyline(std::span<const double> xs, std::span<const double> ys, double thickness, Colour colour,
                  const Box& clip);
    void dot(double x, double y, double radius, Colour colour, const Box& clip);
    // rgb: width * height * 3 bytes.
    void picture(int x, int y, int width, int height, std::span<const std::uint8_t> rgb);
    // UTF-8; what the font lacks is left out.
    void text(const Font& font, double size, double x, double y, std::string_view text, Colour colour,
              Anchor across = Anchor::begin, Anchor down = Anchor::begin);
    // The same reading upwards, centred on y; x is its left border.
    void text_upwards(const Font& font, double size, double x, double y, std::string_view text, Colour colour);

    // PNG under its name only when it is complete. io: says what and where.
    Result<void> write(const std::filesystem::path& file) const;

private:
    std::uint8_t* pixel(int x, int y);
    bool inside(int x, int y) const { return x >= 0 && y >= 0 && x < width_ && y < height_; }
    void blend(int x, int y, Colour colour, double share);
    Box cut(const Box& box) const;

    int width_;
    int height_;
    std::vector<std::uint8_t> rgb_;
};

} // namespace wander::chart
