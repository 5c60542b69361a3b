#include "generator/chart/canvas.hpp"

#include "generator/chart/typeface.hpp"
#include "generator/plain/atomic_file.hpp"
#include "generator/plain/png.hpp"
#include "generator/text/plain/utf8.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace wander::chart {

namespace {

std::size_t index_of(int x, int y, int width) {
    return static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x);
}

double distance_to_segment(double x, double y, double x0, double y0, double x1, double y1) {
    const double dx = x1 - x0;
    const double dy = y1 - y0;
    const double squared = dx * dx + dy * dy;
    const double share = squared > 0 ? std::clamp(((x - x0) * dx + (y - y0) * dy) / squared, 0.0, 1.0) : 0;
    return std::hypot(x - (x0 + share * dx), y - (y0 + share * dy));
}

// Coverage of a stroke, the most of any of its segments, so that joints are no darker.
class Stroke {
public:
    explicit Stroke(const Box& box) : box_(box) {
        cover_.assign(static_cast<std::size_t>(std::max(0, box.right - box.left)) *
                          static_cast<std::size_t>(std::max(0, box.bottom - box.top)),
                      0.0f);
    }

    void segment(double x0, double y0, double x1, double y1, double thickness) {
        const double reach = thickness / 2 + 1;
        const int left = whole(std::min(x0, x1) - reach, box_.left, box_.right);
        const int right = whole(std::max(x0, x1) + reach + 1, box_.left, box_.right);
        const int top = whole(std::min(y0, y1) - reach, box_.top, box_.bottom);
        const int bottom = whole(std::max(y0, y1) + reach + 1, box_.top, box_.bottom);
        for (int y = top; y < bottom; ++y) {
            for (int x = left; x < right; ++x) {
                const double away = distance_to_segment(x + 0.5, y + 0.5, x0, y0, x1, y1);
                float& cover = cover_[index_of(x - box_.left, y - box_.top, box_.right - box_.left)];
                cover = std::max(cover, static_cast<float>(std::clamp(thickness / 2 + 0.5 - away, 0.0, 1.0)));
            }
        }
    }

    template <typename Blend>
    void apply(Blend blend) const {
        for (int y = box_.top; y < box_.bottom; ++y) {
            for (int x = box_.left; x < box_.right; ++x) {
                const float cover = cover_[index_of(x - box_.left, y - box_.top, box_.right - box_.left)];
                if (cover > 0) blend(x, y, cover);
            }
        }
    }

private:
    static int whole(double value, int low, int high) {
        return static_cast<int>(std::floor(std::clamp(value, static_cast<double>(low), static_cast<double>(high))));
    }

    Box box_;
    std::vector<float> cover_;
};

double moved(double at, double extent, Anchor anchor) {
    switch (anchor) {
        case Anchor::begin: return at;
        case Anchor::middle: return at - extent / 2;
        case Anchor::end: return at - extent;
    }
    return at;
}

} // namespace

Result<Font> Font::load(const std::filesystem::path& assets, const std::string& name) {
    auto face = Typeface::read(assets / "fonts" / name);
    if (!face) return face.error();
    Font font;
    font.face_ = std::move(*face);
    return font;
}

double Font::width_of(std::string_view text, double size) const { return face_->place(decode_utf8(text), size, {}); }

Canvas::Canvas(int width, int height, Colour background) : width_(width), height_(height) {
    assert(width > 0 && height > 0);
    rgb_.resize(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3);
    fill(0, 0, width, height, background);
}

std::uint8_t* Canvas::pixel(int x, int y) { return rgb_.data() + 3 * index_of(x, y, width_); }

Colour Canvas::at(int x, int y) const {
    assert(inside(x, y));
    const std::uint8_t* p = rgb_.data() + 3 * index_of(x, y, width_);
    return {p[0], p[1], p[2]};
}

Box Canvas::cut(const Box& box) const {
    return {std::max(box.left, 0), std::max(box.top, 0), std::min(box.right, width_), std::min(box.bottom, height_)};
}

void Canvas::blend(int x, int y, Colour colour, double share) {
    std::uint8_t* p = pixel(x, y);
    const std::uint8_t ink[] = {colour.red, colour.green, colour.blue};
    for (int c = 0; c < 3; ++c) p[c] = static_cast<std::uint8_t>(std::lround(p[c] + share * (ink[c] - p[c])));
}

void Canvas::fill(int x, int y, int width, int height, Colour colour) {
    const Box box = cut({x, y, x + width, y + height});
    for (int row = box.top; row < box.bottom; ++row) {
        for (int column = box.left; column < box.right; ++column) {
            std::uint8_t* p = pixel(column, row);
            p[0] = colour.red;
            p[1] = colour.green;
            p[2] = colour.blue;
        }
    }
}

void Canvas::line(double x0, double y0, double x1, double y1, double thickness, Colour colour) {
    const double xs[] = {x0, x1};
    const double ys[] = {y0, y1};
    polyline(xs, ys, thickness, colour, {0, 0, width_, height_});
}

void Canvas::polyline(std::span<const double> xs, std::span<const double> ys, double thickness, Colour colour,
                      const Box& clip) {
    assert(xs.size() == ys.size());
    if (xs.empty()) return;
    Stroke stroke(cut(clip));
    for (std::size_t i = 0; i + 1 < xs.size(); ++i) stroke.segment(xs[i], ys[i], xs[i + 1], ys[i + 1], thickness);
    if (xs.size() == 1) stroke.segment(xs[0], ys[0], xs[0], ys[0], thickness);
    stroke.apply([&](int x, int y, float cover) { blend(x, y, colour, cover); });
}

void Canvas::dot(double x, double y, double radius, Colour colour, const Box& clip) {
    const double xs[] = {x};
    const double ys[] = {y};
    polyline(xs, ys, 2 * radius, colour, clip);
}

void Canvas::picture(int x, int y, int width, int height, std::span<const std::uint8_t> rgb) {
    assert(rgb.size() == static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3);
    const Box box = cut({x, y, x + width, y + height});
    for (int row = box.top; row < box.bottom; ++row) {
        if (box.right <= box.left) break;
        std::copy_n(rgb.data() + 3 * index_of(box.left - x, row - y, width), 3 * (box.right - box.left),
                    pixel(box.left, row));
    }
}

void Canvas::text(const Font& font, double size, double x, double y, std::string_view text, Colour colour,
                  Anchor across, Anchor down) {
    const Typeface& face = font.face();
    const std::u32string letters = decode_utf8(text);
    const double left = moved(x, across == Anchor::begin ? 0 : font.width_of(text, size), across);
    const int base = static_cast<int>(std::lround(moved(y, size, down) + face.ascent(size)));
    face.place(letters, size, [&](int glyph, double offset) {
        const double begin = std::floor(left + offset);
        const GlyphShape shape = face.draw(glyph, size, left + offset - begin);
        for (int row = 0; row < shape.height; ++row) {
            for (int column = 0; column < shape.width; ++column) {
                const int px = static_cast<int>(begin) + shape.left + column;
                const int py = base + shape.top + row;
                if (inside(px, py)) blend(px, py, colour, shape.cover[index_of(column, row, shape.width)] / 255.0);
            }
        }
    });
}

void Canvas::text_upwards(const Font& font, double size, double x, double y, std::string_view text, Colour colour) {
    const Typeface& face = font.face();
    const double below = y + font.width_of(text, size) / 2; // the text is centred on the point
    const int base = static_cast<int>(std::lround(x + face.ascent(size)));
    face.place(decode_utf8(text), size, [&](int glyph, double offset) {
        const GlyphShape shape = face.draw(glyph, size, 0);
        const int begin = static_cast<int>(std::lround(below - offset));
        for (int row = 0; row < shape.height; ++row) {
            for (int column = 0; column < shape.width; ++column) {
                const int px = base + shape.top + row;
                const int py = begin - shape.left - column;
                if (inside(px, py)) blend(px, py, colour, shape.cover[index_of(column, row, shape.width)] / 255.0);
            }
        }
    });
}

Result<void> Canvas::write(const std::filesystem::path& file) const {
    auto bytes = png_bytes(rgb_, width_, height_);
    if (!bytes) return Error{bytes.error().code, "cannot write " + file.string() + ": " + bytes.error().message};
    return write_file_atomically(file, *bytes);
}

} // namespace wander::chart
