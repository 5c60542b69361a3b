#include "render/plain/upscale_reference.hpp"

#include <cassert>

namespace wander::render {
namespace {

struct Vec3 {
    float r = 0, g = 0, b = 0;
};
Vec3 operator+(Vec3 a, Vec3 b) { return {a.r + b.r, a.g + b.g, a.b + b.b}; }
Vec3 operator-(Vec3 a, Vec3 b) { return {a.r - b.r, a.g - b.g, a.b - b.b}; }
Vec3 operator*(Vec3 a, float s) { return {a.r * s, a.g * s, a.b * s}; }
float dot(Vec3 a, Vec3 b) { return a.r * b.r + a.g * b.g + a.b * b.b; }

Vec3 fetch(PixelView picture, int x, int y) {
    x = std::clamp(x, 0, picture.size.width - 1);
    y = std::clamp(y, 0, picture.size.height - 1);
    const std::uint8_t* p =
        picture.rgba +
        (static_cast<std::size_t>(y) * static_cast<std::size_t>(picture.size.width) + static_cast<std::size_t>(x)) * 4;
    return {static_cast<float>(p[0]) / 255, static_cast<float>(p[1]) / 255, static_cast<float>(p[2]) / 255};
}

// Position in source pixels, pixel centres at .5.
Vec3 bilinear(PixelView picture, float x, float y) {
    const float fx = std::floor(x - 0.5f);
    const float fy = std::floor(y - 0.5f);
    const float tx = x - 0.5f - fx;
    const float ty = y - 0.5f - fy;
    const int ix = static_cast<int>(fx);
    const int iy = static_cast<int>(fy);
    const Vec3 top = fetch(picture, ix, iy) * (1 - tx) + fetch(picture, ix + 1, iy) * tx;
    const Vec3 bottom = fetch(picture, ix, iy + 1) * (1 - tx) + fetch(picture, ix + 1, iy + 1) * tx;
    return top * (1 - ty) + bottom * ty;
}

std::uint8_t to_byte(float v) { return static_cast<std::uint8_t>(std::lround(std::clamp(v, 0.0f, 1.0f) * 255)); }

template <typename ColourAt>
Pixels fill(PixelSize size, ColourAt colour_at) {
    Pixels out{size, std::vector<std::uint8_t>(size.bytes())};
    std::uint8_t* p = out.rgba.data();
    for (int y = 0; y < size.height; ++y) {
        for (int x = 0; x < size.width; ++x, p += 4) {
            const Vec3 c = colour_at(x, y);
            p[0] = to_byte(c.r);
            p[1] = to_byte(c.g);
            p[2] = to_byte(c.b);
            p[3] = 255;
        }
    }
    return out;
}

float catmull_rom(float d) {
    d = std::abs(d);
    if (d < 1) {
        return (1.5f * d - 2.5f) * d * d + 1;
    }
    return d < 2 ? ((-0.5f * d + 2.5f) * d - 4) * d + 2 : 0;
}

Vec3 bicubic(PixelView picture, float x, float y) {
    const int ix = static_cast<int>(std::floor(x - 0.5f));
    const int iy = static_cast<int>(std::floor(y - 0.5f));
    Vec3 sum;
    for (int v = iy - 1; v <= iy + 2; ++v) {
        for (int u = ix - 1; u <= ix + 2; ++u) {
            const float weight =
                catmull_rom(x - 0.5f - static_cast<float>(u)) * catmull_rom(y - 0.5f - static_cast<float>(v));
            sum = sum + fetch(picture, u, v) * weight;
        }
    }
    return sum;
}

float luma(PixelView picture, int x, int y) { return dot(fetch(picture, x, y), {0.299f, 0.587f, 0.114f}); }

Pixels structure_map(PixelView picture) {
    return fill(picture.size, [&](int px, int py) {
        float xx = 0, yy = 0, xy = 0;
        for (int v = -1; v <= 1; ++v) {
            for (int u = -1; u <= 1; ++u) {
                const auto at = [&](int dx, int dy) { return luma(picture, px + u + dx, py + v + dy); };
                const float gx = at(1, -1) + 2 * at(1, 0) + at(1, 1) - at(-1, -1) - 2 * at(-1, 0) - at(-1, 1);
                const float gy = at(-1, 1) + 2 * at(0, 1) + at(1, 1) - at(-1, -1) - 2 * at(0, -1) - at(1, -1);
                const float weight = static_cast<float>((2 - std::abs(u)) * (2 - std::abs(v)));
                xx += weight * gx * gx;
                yy += weight * gy * gy;
                xy += weight * gx * gy;
            }
        }
        const float scale = 1 / (xx + yy + 0.02f);
        return Vec3{0.5f + 0.5f * (xx - yy) * scale, 0.5f + xy * scale, 0};
    });
}

Vec3 sharp(PixelView picture, PixelView structure, float x, float y) {
    const Vec3 encoded = bilinear(structure, x, y);
    const float dx = encoded.r * 2 - 1;
    const float dy = encoded.g * 2 - 1;
    const float length = std::sqrt(dx * dx + dy * dy);
    const float clarity = std::min(length, 1.0f);
    const float cosine = clarity > 0.01f ? dx / length : 1;
    const float nx = std::sqrt(std::max(0.5f + 0.5f * cosine, 0.0f));
    const float ny = (dy < 0 ? -1.0f : 1.0f) * std::sqrt(std::max(0.5f - 0.5f * cosine, 0.0f));
    const float along = 0.30f + (0.95f - 0.30f) * clarity;
    Vec3 base;
    for (const float a : {-along, along}) {
        for (const float n : {-0.22f, 0.22f}) {
            base = base + bilinear(picture, x - ny * a + nx * n, y + nx * a + ny * n) * 0.25f;
        }
    }
    const Vec3 near_side = bilinear(picture, x - nx * 0.85f, y - ny * 0.85f);
    const Vec3 span = bilinear(picture, x + nx * 0.85f, y + ny * 0.85f) - near_side;
    const float span_squared = dot(span, span);
    const float t = std::clamp(dot(base - near_side, span) / (span_squared + 1e-5f), 0.0f, 1.0f);
    const auto smooth = [](float v) { return v * v * (3 - 2 * v); };
    const float steep = smooth(std::clamp((t - 0.5f) * 1.7f + 0.5f, 0.0f, 1.0f));
    const float amount = clarity * smooth(std::clamp((span_squared - 0.0005f) / (0.01f - 0.0005f), 0.0f, 1.0f));
    return base + span * ((steep - t) * amount);
}

PixelView view(const Pixels& pixels) { return {pixels.size, pixels.rgba.data()}; }

} // namespace

Pixels upscale_reference(PixelView source, PixelSize target, UpscaleMode mode, int limit) {
    assert(!source.size.empty() && !target.empty());
    PixelSize work = target;
    if (limit > 0 && mode != UpscaleMode::nearest) {
        work.width = std::min(work.width, source.size.width * limit);
        work.height = std::min(work.height, source.size.height * limit);
    }
    const float sx = static_cast<float>(source.size.width) / static_cast<float>(work.width);
    const float sy = static_cast<float>(source.size.height) / static_cast<float>(work.height);
    const Pixels structure = mode == UpscaleMode::sharp ? structure_map(source) : Pixels{};
    Pixels out = fill(work, [&](int px, int py) {
        const float x = (static_cast<float>(px) + 0.5f) * sx;
        const float y = (static_cast<float>(py) + 0.5f) * sy;
        switch (mode) {
            case UpscaleMode::nearest: return fetch(source, static_cast<int>(x), static_cast<int>(y));
            case UpscaleMode::bicubic: return bicubic(source, x, y);
            case UpscaleMode::sharp: break;
        }
        return sharp(source, view(structure), x, y);
    });
    if (work == target) {
        return out;
    }
    const float wx = static_cast<float>(work.width) / static_cast<float>(target.width);
    const float wy = static_cast<float>(work.height) / static_cast<float>(target.height);
    return fill(target, [&](int px, int py) {
        return bilinear(view(out), (static_cast<float>(px) + 0.5f) * wx, (static_cast<float>(py) + 0.5f) * wy);
    });
}

double psnr_db(PixelView a, PixelView b) {
    assert(a.size == b.size && !a.size.empty());
    double sum = 0;
    for (std::size_t i = 0; i < a.size.bytes(); ++i) {
        if (i % 4 != 3) {
            const double difference = (static_cast<double>(a.rgba[i]) - static_cast<double>(b.rgba[i])) / 255;
            sum += difference * difference;
        }
    }
    const double mean = sum / (static_cast<double>(a.size.bytes()) * 0.75);
    return mean > 0 ? std::min(99.0, -10 * std::log10(mean)) : 99.0;
}

} // namespace wander::render
