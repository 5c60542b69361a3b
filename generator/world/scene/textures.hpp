#pragma once
// What primitives are made of: for each Texture a function of the point on the surface. u runs along the wall (or round
// the axis), v up from the base, both in units; fine detail fades with distance.

#include "generator/world/scene/intersect.hpp"
#include "generator/world/scene/lattice_noise.hpp"

namespace wander::scene {

// A point on a primitive, and the colour and own light that the texture gives it.
struct Skin {
    Vec3 local;
    Vec3 normal;
    float u = 0;
    float v = 0;
    float half_width = 0; // of the wall that u runs along
    float distance = 0;   // from the eye
    float fade = 1;
    Vec3 color;
    Vec3 light; // emitted

    WANDER_HOST_DEVICE bool upright() const { return fabsf(normal.y) < 0.5f; }
};

// How far a point lies outside of a rectangle around the middle; negative inside.
WANDER_HOST_DEVICE inline float frame_distance(float a, float half_a, float b, float half_b) {
    return larger(a - half_a, b - half_b);
}

// Rows of windows with frames and crosses, a door in the middle of the front, a dark base, trim along the edges.
WANDER_HOST_DEVICE inline void house_skin(const Primitive& p, Skin& skin) {
    if (!skin.upright()) return;
    const int columns = floor_int(skin.half_width * 2.0f / 0.62f) < 1 ? 1 : floor_int(skin.half_width * 2.0f / 0.62f);
    const float column_width = skin.half_width * 2.0f / static_cast<float>(columns);
    const float across = (skin.u + skin.half_width) / column_width;
    const int column = floor_int(across);
    const float a = (across - static_cast<float>(column)) * column_width - column_width * 0.5f;
    const int rows = floor_int((p.size_y - 0.15f) / 0.72f) < 1 ? 1 : floor_int((p.size_y - 0.15f) / 0.72f);
    const float row_height = (p.size_y - 0.1f) / static_cast<float>(rows);
    const int row = floor_int(skin.v / row_height);
    const float b = (skin.v / row_height - static_cast<float>(row)) * row_height - row_height * 0.56f;

    Vec3 color = mix(skin.color, skin.color * 0.62f, smooth_step(0.16f, 0.12f, skin.v));
    const float to_edge = smaller(skin.half_width - fabsf(skin.u), p.size_y - skin.v);
    color = mix(color, p.accent, smooth_step(0.05f, 0.03f, to_edge));

    const bool door = skin.normal.z > 0.5f && column == columns / 2 && row == 0;
    const float half_width = door ? 0.15f : 0.14f;
    const float half_height = door ? 0.52f : 0.17f;
    const float up = door ? skin.v : fabsf(b);
    const float frame = frame_distance(fabsf(a), half_width + 0.045f, up, half_height + 0.045f);
    const float pane = smooth_step(0.02f, -0.02f, frame_distance(fabsf(a), half_width, up, half_height));
    color = mix(color, p.accent, smooth_step(0.025f, -0.025f, frame));
    Vec3 glass = door ? p.accent * 0.45f : Vec3{0.20f, 0.28f, 0.38f};
    if (!door) glass = mix(glass, p.accent, smooth_step(0.022f, 0.012f, smaller(fabsf(a), fabsf(b))) * skin.fade);
    skin.color = mix(color, glass, pane);

    const int wall = (skin.normal.x > 0.5f ? 7 : 0) + (skin.normal.z < -0.5f ? 13 : 0);
    if (!door && lattice_value(column + wall, row, p.seed) > 1.0f - p.lit) skin.light = p.glow * pane;
}

WANDER_HOST_DEVICE inline void brick_skin(const Primitive& p, Skin& skin) {
    constexpr float kPerUnit = 3.2f;
    const float v = skin.v * kPerUnit * 1.6f;
    const float u = skin.u * kPerUnit + ((floor_int(v) & 1) != 0 ? 0.5f : 0.0f);
    const float joint =
        smaller(smaller(fraction(u), 1.0f - fraction(u)), smaller(fraction(v), 1.0f - fraction(v)) * 0.7f);
    const float own = 0.85f + 0.3f * lattice_value(floor_int(u), floor_int(v), p.seed);
    skin.color = mix(skin.color * (1.0f + (own - 1.0f) * skin.fade), p.accent,
                     smooth_step(0.11f, 0.04f, joint) * skin.fade * 0.8f);
}

// Rows of shingles. The underside lies at v = 0 exactly, where rounding would choose the row: it takes their mean.
WANDER_HOST_DEVICE inline void roof_skin(const Primitive& p, Skin& skin) {
    const float row = fraction(skin.v * 5.0f);
    const float shade = skin.normal.y < -0.5f ? 0.5f : smooth_step(0.30f, 0.12f, row);
    skin.color = mix(skin.color, p.accent, 0.75f * skin.fade * shade);
}

WANDER_HOST_DEVICE inline void bark_skin(const Primitive& p, Skin& skin) {
    skin.color = mix(skin.color, p.accent, smooth_noise(skin.u * 8.0f, skin.v * 1.5f, p.seed) * skin.fade);
}

WANDER_HOST_DEVICE inline void leaf_skin(const Primitive& p, Skin& skin) {
    const Vec3 q = skin.local;
    const float a = smooth_noise((q.x + q.z * 0.7f) * 3.6f + static_cast<float>(p.seed % 17),
                                 (q.y * 1.2f - q.z * 0.5f + q.x * 0.3f) * 3.6f, p.seed);
    const Vec3 color = mix(skin.color, p.accent, smooth_step(0.25f, 0.75f, a) * (0.35f + 0.65f * skin.fade));
    skin.color = color * (0.72f + 0.35f * clamped(skin.normal.y * 0.6f + 0.5f, 0.0f, 1.0f));
}

WANDER_HOST_DEVICE inline void stone_skin(const Primitive& p, Skin& skin) {
    const float v = skin.v * 2.2f;
    const float u = skin.u * 1.6f + 0.37f * floored(v);
    const float joint =
        smaller(smaller(fraction(u), 1.0f - fraction(u)) * 0.8f, smaller(fraction(v), 1.0f - fraction(v)) * 0.6f);
    const float own = 0.86f + 0.28f * lattice_value(floor_int(u), floor_int(v), p.seed);
    skin.color =
        mix(skin.color * (1.0f + (own - 1.0f) * skin.fade), p.accent, smooth_step(0.09f, 0.03f, joint) * skin.fade);
}

// Shining edges and a grid of small windows, warm or cold.
WANDER_HOST_DEVICE inline void neon_skin(const Primitive& p, Skin& skin) {
    if (!skin.upright()) {
        skin.light = p.accent * 0.25f;
        return;
    }
    const float to_edge = smaller(skin.half_width - fabsf(skin.u), p.size_y - skin.v);
    skin.light = p.accent * smooth_step(0.07f + 0.004f * skin.distance, 0.02f, to_edge);
    const int column = floor_int(skin.u * 2.6f);
    const int row = floor_int(skin.v * 3.0f);
    const int wall = (skin.normal.x > 0.5f ? 31 : 0) + (skin.normal.z > 0.5f ? 57 : 0);
    const bool on = lattice_value(column + wall, row, p.seed) > 1.0f - p.lit &&
                    fabsf(fraction(skin.u * 2.6f) - 0.5f) < 0.30f && fabsf(fraction(skin.v * 3.0f) - 0.5f) < 0.26f &&
                    to_edge > 0.1f;
    const Vec3 window = lattice_value(column, row, p.seed + 5) > 0.5f ? p.glow : Vec3{0.45f, 0.85f, 1.0f};
    if (on) skin.light = skin.light + window * (0.75f * (0.3f + 0.7f * skin.fade));
}

// Ribs and rings.
WANDER_HOST_DEVICE inline void dome_skin(const Primitive& p, Skin& skin) {
    const float ring = fraction(skin.v * 2.4f);
    const float rib = fraction(atan2f(skin.local.x, skin.local.z) * 2.546479f); // 16 / (2 pi)
    const float line = smaller(smaller(ring, 1.0f - ring) * 1.1f, smaller(rib, 1.0f - rib) * 1.2f);
    skin.color = mix(skin.color, p.accent, smooth_step(0.12f, 0.05f, line) * (0.3f + 0.7f * skin.fade));
}

// Bands; round a cylinder they wind like on a barber's pole.
WANDER_HOST_DEVICE inline void stripe_skin(const Primitive& p, Skin& skin) {
    const float wind = p.shape == Shape::cylinder ? atan2f(skin.local.x, skin.local.z) * 0.31830989f : 0.0f; // 1 / pi
    if (fraction(skin.v * 2.0f + wind) >= 0.5f) skin.color = p.accent;
}

// A frame and a cross.
WANDER_HOST_DEVICE inline void crate_skin(const Primitive& p, Skin& skin) {
    const float a = fabsf(skin.u) / p.size_x;
    const float b = fabsf(skin.v - p.size_y * 0.5f) / (p.size_y * 0.5f);
    const float frame = smooth_step(0.74f, 0.80f, larger(a, b));
    const float cross = smooth_step(0.16f, 0.10f, fabsf(a - b)) * 0.8f;
    skin.color = mix(skin.color, p.accent, larger(frame, cross));
}

// Round logs, two windows a wall and a door in the front.
WANDER_HOST_DEVICE inline void log_skin(const Primitive& p, Skin& skin) {
    const float r = fraction(skin.v * 4.2f);
    const float round = 1.0f - 4.0f * (r - 0.5f) * (r - 0.5f);
    skin.color = skin.color * (0.78f + 0.3f * round * skin.fade + 0.22f * (1.0f - skin.fade));
    skin.color = mix(skin.color, p.accent, smooth_step(0.12f, 0.04f, smaller(r, 1.0f - r)) * skin.fade);
    if (!skin.upright()) return;
    const float a = fabsf(fabsf(skin.u) - skin.half_width * 0.5f);
    const float b = fabsf(skin.v - p.size_y * 0.56f);
    skin.color = mix(skin.color, p.accent * 0.8f, smooth_step(0.02f, -0.02f, frame_distance(a, 0.19f, b, 0.20f)));
    const float pane = smooth_step(0.02f, -0.02f, frame_distance(a, 0.15f, b, 0.16f));
    const int wall = (skin.normal.x > 0.5f ? 7 : 0) + (skin.normal.z < -0.5f ? 13 : 0) + (skin.u > 0 ? 1 : 0);
    if (lattice_value(wall, 0, p.seed) > 1.0f - p.lit) {
        skin.light = p.glow * pane;
    } else {
        skin.color = mix(skin.color, {0.16f, 0.20f, 0.26f}, pane);
    }
    if (skin.normal.z > 0.5f) {
        const float door = frame_distance(fabsf(skin.u), 0.15f, skin.v, 0.55f);
        skin.color = mix(skin.color, p.accent * 0.5f, smooth_step(0.02f, -0.02f, door));
    }
}

// Upright boards of slightly different colour, with a rail along the top.
WANDER_HOST_DEVICE inline void planks_skin(const Primitive& p, Skin& skin) {
    const float across = skin.u * 4.0f;
    const float gap = smaller(fraction(across), 1.0f - fraction(across));
    const float own = 0.86f + 0.28f * lattice_value(floor_int(across), 0, p.seed);
    skin.color = mix(skin.color * (1.0f + (own - 1.0f) * skin.fade), skin.color * 0.55f,
                     smooth_step(0.12f, 0.04f, gap) * skin.fade);
    if (skin.upright()) skin.color = mix(skin.color, p.accent, smooth_step(0.09f, 0.06f, p.size_y - skin.v));
}

// Round spots in rows that shift against each other, as on a toadstool.
WANDER_HOST_DEVICE inline void dots_skin(const Primitive& p, Skin& skin) {
    const float around = atan2f(skin.local.x, skin.local.z) * 1.1140846f; // 7 / (2 pi)
    const float height = skin.local.y / p.size_y;
    const float row = floored(height * 3.0f);
    const float a = fraction(around + 0.5f * row) - 0.5f;
    const float b = fraction(height * 3.0f) - 0.5f;
    const float girth = sqrtf(larger(1.0f - height * height, 0.0f)); // spots stay round towards the top
    const float r = sqrtf(a * a * girth * girth * 2.2f + b * b);
    const float own =
        0.20f + 0.12f * lattice_value(wrapped_index(floor_int(around + 0.5f * row), 7), floor_int(row), p.seed);
    const float spot = skin.normal.y > 0.05f ? smooth_step(own + 0.05f, own - 0.05f, r) : 0.0f;
    skin.color = mix(skin.color, p.accent, spot);
    skin.light = p.glow * (spot * p.lit);
}

// Fills color and light of a point that was hit.
WANDER_HOST_DEVICE inline Skin skin_of(const Primitive& p, const Surface& surface, float distance) {
    Skin skin;
    skin.local = surface.local;
    skin.normal = surface.normal;
    skin.v = surface.local.y;
    skin.distance = distance;
    skin.fade = expf(-distance * 0.11f);
    skin.color = p.color;
    const bool round = p.shape == Shape::cylinder || p.shape == Shape::cone || p.shape == Shape::ellipsoid;
    const bool faces_x = fabsf(surface.normal.x) > 0.7f;
    skin.half_width = faces_x ? p.size_z : p.size_x;
    if (round) {
        const float radius = larger(p.size_x, 0.15f);
        skin.u = atan2f(surface.local.x, surface.local.z) * radius;
        skin.half_width = 3.14159265f * radius; // one wall all the way round
    } else {
        skin.u = faces_x ? surface.local.z : surface.local.x;
    }
    switch (p.texture) {
        case Texture::house: house_skin(p, skin); break;
        case Texture::brick: brick_skin(p, skin); break;
        case Texture::roof: roof_skin(p, skin); break;
        case Texture::bark: bark_skin(p, skin); break;
        case Texture::leaf: leaf_skin(p, skin); break;
        case Texture::stone: stone_skin(p, skin); break;
        case Texture::lamp:
            skin.light = p.color;
            skin.color = p.color * 0.4f;
            break;
        case Texture::neon: neon_skin(p, skin); break;
        case Texture::dome: dome_skin(p, skin); break;
        case Texture::stripe: stripe_skin(p, skin); break;
        case Texture::crate: crate_skin(p, skin); break;
        case Texture::log: log_skin(p, skin); break;
        case Texture::planks: planks_skin(p, skin); break;
        case Texture::dots: dots_skin(p, skin); break;
        case Texture::plain: break;
    }
    return skin;
}

} // namespace wander::scene
