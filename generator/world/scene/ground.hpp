#pragma once
// The ground's colour: two colours mixed by noise that repeats with the torus, then the theme's layers one over the
// other. Fine detail fades with distance, since there is no other filter than the samples of a pixel.

#include "generator/world/scene/lattice_noise.hpp"
#include "generator/world/scene/scene.hpp"

namespace wander::scene {

inline constexpr float kHalfTurnPerTile = 0.7853982f; // 2 pi / 8: a wobble that repeats twice a tile

struct GroundPoint {
    float x = 0; // wrapped
    float z = 0;
    float distance = 0; // from the eye
    float fade = 1;     // of fine detail
    float grain = 0;    // fine noise, -0.5 to 0.5
};

// Distance to the nearest path's middle line: a ring around the middle and two crossing roads.
WANDER_HOST_DEVICE inline float path_distance(const GroundLayer& layer, float x, float z, float seed) {
    constexpr float kNone = 9.0f;
    const float r = sqrtf(x * x + z * z);
    float nearest = kNone;
    if (layer.radius > 0) nearest = fabsf(r - layer.radius + layer.ring_wobble * sinf(3.0f * atan2f(x, z) + seed));
    if (r > layer.roads_from) {
        if (layer.roads_z > 0) nearest = smaller(nearest, fabsf(x + layer.road_wobble * sinf(z * kHalfTurnPerTile)));
        if (layer.roads_x > 0) nearest = smaller(nearest, fabsf(z + layer.road_wobble * sinf(x * kHalfTurnPerTile)));
    }
    return nearest;
}

// Distance to the nearest border of cells of size 1.
WANDER_HOST_DEVICE inline float joint_distance(float a, float b) {
    const float u = fraction(a);
    const float v = fraction(b);
    return smaller(smaller(u, 1.0f - u), smaller(v, 1.0f - v));
}

WANDER_HOST_DEVICE inline Vec3 surface_color(const GroundLayer& layer, const GroundPoint& at, std::uint32_t seed) {
    const float u = at.x * layer.scale;
    const float v = at.z * layer.scale;
    switch (layer.surface) {
        case GroundSurface::sand: return layer.color * (1.0f + 0.25f * at.grain * at.fade);
        case GroundSurface::bricks: {
            const float shift = (floor_int(v) & 1) != 0 ? 0.5f : 0.0f;
            const float joint = joint_distance(u + shift, v);
            return mix(layer.color, layer.line_color, smooth_step(0.10f, 0.03f, joint) * at.fade);
        }
        case GroundSurface::tiles: {
            const float own = 0.82f + 0.36f * lattice_value(floor_int(u), floor_int(v), seed + 3);
            const Vec3 tile = layer.color * (1.0f + (own - 1.0f) * at.fade);
            return mix(tile, layer.line_color, smooth_step(0.07f, 0.02f, joint_distance(u, v)) * at.fade);
        }
        case GroundSurface::checker: {
            const bool odd = ((floor_int(u) + floor_int(v)) & 1) != 0;
            const Vec3 between = (layer.color + layer.line_color) * 0.5f;
            return mix(between, odd ? layer.color : layer.line_color, at.fade);
        }
        case GroundSurface::planks: {
            const float own = 0.88f + 0.24f * lattice_value(floor_int(u), 0, seed + 4);
            const float gap = smaller(fraction(u), 1.0f - fraction(u));
            const Vec3 board = layer.color * (1.0f + (own - 1.0f) * at.fade);
            return mix(board, layer.line_color, smooth_step(0.10f, 0.04f, gap) * at.fade);
        }
        default: return layer.color;
    }
}

WANDER_HOST_DEVICE inline Vec3 add_layer(const SceneView& scene, const GroundLayer& layer, const GroundPoint& at,
                                         Vec3 color) {
    const float r = sqrtf(at.x * at.x + at.z * at.z);
    switch (layer.place) {
        case GroundPlace::paths: {
            constexpr float kSoft = 0.06f;
            const float d = path_distance(layer, at.x, at.z, static_cast<float>(scene.seed));
            const float inside = smooth_step(layer.half_width + kSoft, layer.half_width - kSoft, d);
            const float border = smooth_step(kSoft, 0.0f, fabsf(d - layer.half_width));
            color = mix(color, surface_color(layer, at, scene.seed), inside * layer.strength);
            return mix(color, layer.line_color, border * layer.edge * at.fade);
        }
        case GroundPlace::disc: {
            const float inside = smooth_step(layer.radius + 0.08f, layer.radius - 0.08f, r);
            const float border = smooth_step(0.10f, 0.04f, fabsf(r - layer.radius));
            color = mix(color, surface_color(layer, at, scene.seed), inside * layer.strength);
            return mix(color, layer.line_color, border * layer.edge);
        }
        case GroundPlace::circle: {
            const float line = smooth_step(layer.half_width + 0.04f, layer.half_width - 0.04f, fabsf(r - layer.radius));
            return mix(color, surface_color(layer, at, scene.seed), line * layer.strength);
        }
        case GroundPlace::grid: {
            const float across = fabsf(fraction(at.x * layer.scale + 0.5f) - 0.5f) / layer.scale;
            const float along = fabsf(fraction(at.z * layer.scale + 0.5f) - 0.5f) / layer.scale;
            const float width = layer.half_width + 0.010f * at.distance; // wider far away, or it would flicker
            const float line =
                larger(smooth_step(width, width * 0.35f, across), smooth_step(width, width * 0.35f, along));
            return mix(color, layer.color, line * layer.strength * expf(-at.distance * 0.12f));
        }
        default: return mix(color, surface_color(layer, at, scene.seed), layer.strength);
    }
}

WANDER_HOST_DEVICE inline Vec3 ground_color(const SceneView& scene, float x, float z, float distance) {
    GroundPoint at;
    at.x = wrapped(x);
    at.z = wrapped(z);
    at.distance = distance;
    at.fade = expf(-distance * 0.10f);
    // 8 and 36 lattice points a tile: whole numbers, so that the noise repeats without a seam.
    const float coarse = smooth_noise(at.x * 0.5f, at.z * 0.5f, scene.seed * 13 + 5, kPeriod / 2);
    at.grain = smooth_noise(at.x * 2.25f, at.z * 2.25f, scene.seed * 13 + 6, kPeriod * 9 / 4) - 0.5f;
    const float share = clamped(coarse * 1.2f - 0.1f + at.grain * 0.45f * at.fade, 0.0f, 1.0f);
    Vec3 color = mix(scene.ground[0], scene.ground[1], share);
    for (int i = 0; i < scene.layer_count; ++i) color = add_layer(scene, scene.layers[i], at, color);
    return color;
}

} // namespace wander::scene
