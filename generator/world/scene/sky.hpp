#pragma once
// What lies beyond everything: gradient, clouds, stars, the sun's disc and mountains. Depends on direction alone, so it
// never moves while one walks.

#include "generator/world/scene/lattice_noise.hpp"
#include "generator/world/scene/scene.hpp"

namespace wander::scene {

WANDER_HOST_DEVICE inline float cloud_cover(float x, float z, std::uint32_t seed) {
    return 0.6f * smooth_noise(x * 1.3f + 3.0f, z * 1.3f + 7.0f, seed * 7 + 1) +
           0.4f * smooth_noise(x * 2.9f, z * 2.9f, seed * 7 + 2);
}

// One star in somewhat more than half of the cells of a grid over azimuth and elevation.
WANDER_HOST_DEVICE inline float star_light(Vec3 d) {
    constexpr float kCellsPerRadian = 9.0f;
    const float column = atan2f(d.x, d.z) * kCellsPerRadian;
    const float row = asinf(clamped(d.y, -1.0f, 1.0f)) * kCellsPerRadian;
    const int i = floor_int(column);
    const int j = floor_int(row);
    const float dx = column - static_cast<float>(i) - 0.2f - 0.6f * lattice_value(i, j, 91);
    const float dy = row - static_cast<float>(j) - 0.2f - 0.6f * lattice_value(i, j, 92);
    return lattice_value(i, j, 93) > 0.45f ? expf(-(dx * dx + dy * dy) * 260.0f) * 0.9f : 0.0f;
}

inline constexpr float kHighestPeak = 1.02f; // of mountain_profile

// Tangent of the mountains' elevation in this direction, for a height of 1.
WANDER_HOST_DEVICE inline float mountain_profile(float azimuth, float seed) {
    return 0.5f + 0.22f * sinf(azimuth * 2.0f + seed) + 0.2f * sinf(azimuth * 5.0f + 1.7f * seed) +
           0.10f * sinf(azimuth * 11.0f + seed * 0.3f);
}

WANDER_HOST_DEVICE inline Vec3 sky_color(const SceneView& scene, Vec3 d) {
    const Sky& sky = scene.sky;
    const float haze = expf(-4.5f * larger(d.y, 0.0f));
    const float to_sun = larger(dot(d, sky.sun), 0.0f);
    const float wide = to_8th(to_sun);
    const float narrow = to_8th(wide);
    Vec3 color = mix(sky.zenith, sky.horizon, haze);
    color = color + sky.glow * (0.55f * wide * (0.35f + 0.65f * haze) + 0.6f * narrow);
    if (d.y > 0.02f && sky.clouds > 0) {
        const float k = 1.2f / (d.y + 0.25f);
        const float cover = cloud_cover(d.x * k, d.z * k, scene.seed);
        const float share = smooth_step(0.52f, 0.72f, cover) * sky.clouds * smooth_step(0.02f, 0.2f, d.y);
        color = mix(color, sky.cloud_color + sky.glow * (0.5f * wide), share);
    }
    if (sky.stars > 0 && d.y > 0.08f) color = color + Vec3{1, 1, 0.92f} * (sky.stars * star_light(d));
    const float disc = smooth_step(0.9955f, 0.9975f, dot(d, sky.sun));
    color = mix(color, sky.sun_color * 0.25f + Vec3{0.75f, 0.75f, 0.72f}, disc);
    const float height = d.y / sqrtf(d.x * d.x + d.z * d.z + 1e-6f);
    if (height < sky.mountains * kHighestPeak + 0.012f) {
        const float top = sky.mountains * mountain_profile(atan2f(d.x, d.z), static_cast<float>(scene.seed));
        const Vec3 rock = mix(sky.mountain_color, sky.horizon, clamped(0.55f - height * 0.9f, 0.15f, 0.7f));
        color = mix(color, rock, smooth_step(top + 0.012f, top - 0.012f, height));
    }
    return color;
}

} // namespace wander::scene
