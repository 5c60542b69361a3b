// Typefaces through stb_truetype, which reads them in place.

#include "generator/chart/typeface.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wconversion"
#define STBTT_STATIC
#define STB_TRUETYPE_IMPLEMENTATION
#include <stb_truetype.h>
#pragma GCC diagnostic pop

namespace wander::chart {

namespace {

constexpr std::size_t kMaxFontBytes = 16 << 20;

} // namespace

struct Typeface::State {
    std::vector<unsigned char> file; // the tables point into it
    stbtt_fontinfo info{};
    int ascent = 0; // in the font's units
    int descent = 0;
};

Result<std::shared_ptr<const Typeface>> Typeface::read(const std::filesystem::path& file) {
    const auto refuse = [&](const char* reason) {
        return Error{ErrorCode::bad_input,
                     fmt::format("{}: {}; the program's fonts lie in assets/fonts", file.string(), reason)};
    };
    std::ifstream in(file, std::ios::binary);
    if (!in) return refuse("cannot be opened");
    auto state = std::make_shared<State>();
    state->file.assign(std::istreambuf_iterator<char>(in), {});
    if (state->file.empty() || state->file.size() > kMaxFontBytes) return refuse("is no font");
    const int offset = stbtt_GetFontOffsetForIndex(state->file.data(), 0);
    if (offset < 0 || stbtt_InitFont(&state->info, state->file.data(), offset) == 0)
        return refuse("is no TrueType font");
    int gap = 0;
    stbtt_GetFontVMetrics(&state->info, &state->ascent, &state->descent, &gap);
    auto face = std::make_shared<Typeface>();
    face->state_ = std::move(state);
    return std::shared_ptr<const Typeface>(std::move(face));
}

double Typeface::ascent(double size) const {
    return static_cast<double>(state_->ascent) * size / (state_->ascent - state_->descent);
}

double Typeface::place(const std::u32string& text, double size, const std::function<void(int, double)>& glyph) const {
    const double scale = size / (state_->ascent - state_->descent);
    double x = 0;
    int before = 0;
    for (const char32_t letter : text) {
        const int index = stbtt_FindGlyphIndex(&state_->info, static_cast<int>(letter));
        if (index == 0) continue;
        if (before != 0) x += scale * stbtt_GetGlyphKernAdvance(&state_->info, before, index);
        if (glyph) glyph(index, x);
        int advance = 0;
        int bearing = 0;
        stbtt_GetGlyphHMetrics(&state_->info, index, &advance, &bearing);
        x += scale * advance;
        before = index;
    }
    return x;
}

GlyphShape Typeface::draw(int glyph, double size, double shift) const {
    const auto scale = static_cast<float>(size / (state_->ascent - state_->descent));
    const auto offset = static_cast<float>(shift);
    int x0 = 0;
    int y0 = 0;
    int x1 = 0;
    int y1 = 0;
    stbtt_GetGlyphBitmapBoxSubpixel(&state_->info, glyph, scale, scale, offset, 0, &x0, &y0, &x1, &y1);
    GlyphShape shape{x0, y0, std::max(0, x1 - x0), std::max(0, y1 - y0), {}};
    shape.cover.resize(static_cast<std::size_t>(shape.width) * static_cast<std::size_t>(shape.height));
    if (!shape.cover.empty())
        stbtt_MakeGlyphBitmapSubpixel(&state_->info, shape.cover.data(), shape.width, shape.height, shape.width, scale,
                                      scale, offset, 0, glyph);
    return shape;
}

} // namespace wander::chart
