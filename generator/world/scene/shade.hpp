#pragma once
// One ray of a camera to one colour: the nearest surface, sun with a shadow ray, lamps, contact shading, water with one
// mirror ray, fog, and the fade into the sky that hides the end of the world.

#include "generator/world/scene/ground.hpp"
#include "generator/world/scene/sky.hpp"
#include "generator/world/scene/textures.hpp"
#include "generator/world/scene/trace.hpp"

namespace wander::scene {

// Where a camera stands: position in [-8, 8), sines and cosines from the host, so that both twins see the same ones.
struct CameraView {
    float x = 0;
    float z = 0;
    float sin_yaw = 0;
    float cos_yaw = 1;
    float sin_pitch = 0;
    float cos_pitch = 1;
};

// Signed distance to a pond's wavy border.
WANDER_HOST_DEVICE inline float pond_distance(const Pond& pond, float x, float z) {
    const float dx = wrapped(x - pond.x);
    const float dz = wrapped(z - pond.z);
    const float r = sqrtf(dx * dx + dz * dz);
    if (r > pond.radius + 0.3f) return 1;
    return r + 0.10f * sinf(3.0f * atan2f(dx, dz)) - pond.radius;
}

inline constexpr float kContactEnd = 2.5f; // beyond it a float cannot tell the factor from 1

// Darkness of the ground where solid things stand on it.
WANDER_HOST_DEVICE inline float contact_light(const SceneView& scene, Vec3 at) {
    const int cell = cell_index(floor_int(at.x), floor_int(at.z));
    float light = 1;
    for (std::uint32_t k = scene.cell_starts[cell]; k < scene.cell_starts[cell + 1]; ++k) {
        const Primitive& p = scene.primitives[scene.cell_entries[k].primitive];
        if (!throws_contact(p)) continue;
        const float dx = wrapped(at.x - p.x);
        const float dz = wrapped(at.z - p.z);
        float distance = 0;
        if (p.shape == Shape::box) {
            const float ex = larger(fabsf(p.cos_turn * dx - p.sin_turn * dz) - p.size_x, 0.0f);
            const float ez = larger(fabsf(p.sin_turn * dx + p.cos_turn * dz) - p.size_z, 0.0f);
            distance = sqrtf(ex * ex + ez * ez);
        } else {
            distance = larger(sqrtf(dx * dx + dz * dz) - p.size_x, 0.0f);
        }
        if (distance < kContactEnd) light *= 1.0f - 0.35f * expf(-distance * 7.0f);
    }
    return light;
}

WANDER_HOST_DEVICE inline Vec3 lamp_light(const SceneView& scene, Vec3 at, Vec3 normal) {
    Vec3 sum;
    for (int i = 0; i < scene.light_count; ++i) {
        const Light& lamp = scene.lights[i];
        const Vec3 way{wrapped(lamp.x - at.x), lamp.y - at.y, wrapped(lamp.z - at.z)};
        const float squared = dot(way, way);
        const float facing = larger(dot(normal, way), 0.0f) / sqrtf(squared + 1e-4f) * 0.75f + 0.25f;
        sum = sum + lamp.color * (facing / (1.0f + 2.2f * squared));
    }
    return sum;
}

// What a pond shows: the nearest thing in its mirror, unlit, or the sky.
WANDER_HOST_DEVICE inline Vec3 water_color(const SceneView& scene, const Pond& pond, Vec3 at, Vec3 from, Vec3 d,
                                           float distance) {
    constexpr float kMirrorReach = 10.0f;
    const Vec3 up = normalized({d.x, 0.02f - d.y, d.z});
    const float ripple = 0.04f * sinf(at.x * 9.0f + at.z * 4.0f);
    Surface mirrored;
    Vec3 reflection;
    if (trace_nearest(scene, from, up, kMirrorReach, mirrored) && mirrored.id >= 0) {
        const Skin skin = skin_of(scene.primitives[mirrored.id], mirrored, mirrored.t + distance);
        reflection = skin.color * (scene.ambient + scene.sky.sun_color * 0.4f) + skin.light;
    } else {
        reflection = sky_color(scene, up);
    }
    const float steep = 1.0f - larger(-d.y, 0.0f);
    const float share = 0.25f + 0.6f * steep * steep * steep;
    const Vec3 depth = pond.color * (scene.ambient + scene.sky.sun_color * 0.5f);
    return mix(depth, reflection, share) * (1.0f + ripple);
}

WANDER_HOST_DEVICE inline Vec3 add_fog(const SceneView& scene, Vec3 d, float distance, Vec3 color) {
    const float fog = 1.0f - expf(-larger(distance - 1.0f, 0.0f) * scene.fog_density);
    const float to_sun = larger(dot(normalized({d.x, larger(d.y, 0.03f), d.z}), scene.sky.sun), 0.0f);
    color = mix(color, scene.fog_color + scene.sky.glow * (0.4f * to_8th(to_sun)), fog);
    const float gone = smooth_step(8.0f, 14.0f, distance);
    if (gone <= 0) return color;
    return mix(color, sky_color(scene, normalized({d.x, larger(d.y, 1e-3f), d.z})), gone);
}

WANDER_HOST_DEVICE inline Vec3 ray_color(const SceneView& scene, Vec3 origin, Vec3 d) {
    Surface surface;
    if (!trace_nearest(scene, origin, d, kFarDistance, surface)) {
        return sky_color(scene, d.y > 0 ? d : normalized({d.x, 1e-3f, d.z}));
    }
    const Vec3 at = origin + d * surface.t;
    Vec3 normal{0, 1, 0};
    Vec3 color;
    Vec3 emitted;
    const Pond* water = nullptr;
    if (surface.id < 0) {
        color = ground_color(scene, at.x, at.z, surface.t);
        for (int i = 0; i < scene.pond_count; ++i) {
            const float border = pond_distance(scene.ponds[i], at.x, at.z);
            if (border < 0) {
                water = &scene.ponds[i];
            } else if (border < 0.09f) {
                color = color * 0.6f;
            }
        }
    } else {
        const Primitive& p = scene.primitives[surface.id];
        const Vec3 n = surface.normal;
        normal = {p.cos_turn * n.x + p.sin_turn * n.z, n.y, p.cos_turn * n.z - p.sin_turn * n.x};
        const Skin skin = skin_of(p, surface, surface.t);
        color = skin.color;
        emitted = skin.light;
    }
    const Vec3 above = at + normal * 2e-3f;
    if (water) {
        color = water_color(scene, *water, at, above, d, surface.t);
    } else {
        const float facing = larger(dot(normal, scene.sky.sun), 0.0f);
        const float sun = facing > 0 && !in_shadow(scene, above, scene.sky.sun) ? facing : 0.0f;
        const float contact =
            surface.id >= 0 ? 0.72f + 0.28f * smooth_step(0.0f, 0.5f, at.y) : contact_light(scene, at);
        const Vec3 light = scene.ambient * (0.75f + 0.25f * normal.y) * contact + scene.sky.sun_color * sun +
                           lamp_light(scene, at, normal);
        color = color * light + emitted;
    }
    return add_fog(scene, d, surface.t, color);
}

// Linear up to 0.75, then a shoulder that never reaches 1.
WANDER_HOST_DEVICE inline float tone(float x) {
    x = larger(x, 0.0f);
    if (x >= 0.75f) x = 0.75f + 0.25f * (1.0f - expf(-(x - 0.75f) * 4.0f));
    return smaller(x, 1.0f);
}

// u, v in 0..1 from the left and the top; focal lengths over width and height.
WANDER_HOST_DEVICE inline Vec3 camera_color(const SceneView& scene, const CameraView& camera, float u, float v,
                                            float focal_x, float focal_y) {
    const float right = (u - 0.5f) / focal_x;
    const float down = (v - 0.5f) / focal_y;
    const float y = camera.cos_pitch * down - camera.sin_pitch;
    const float ahead = camera.sin_pitch * down + camera.cos_pitch;
    const Vec3 d = normalized(
        {camera.cos_yaw * right + camera.sin_yaw * ahead, -y, camera.cos_yaw * ahead - camera.sin_yaw * right});
    const Vec3 color = ray_color(scene, {camera.x, kEyeHeight, camera.z}, d);
    return {tone(color.x), tone(color.y), tone(color.z)};
}

struct PictureFormat {
    int width = 192;
    int height = 112;
    int samples = 2;    // a side of a pixel
    float focal = 0.6f; // over the width; pixels are square
};

// 0..1 to the nearest of 0..255.
WANDER_HOST_DEVICE inline std::uint8_t to_byte(float x) {
    const float shifted = x * 255.0f + 0.5f;
    return static_cast<std::uint8_t>(shifted);
}

// The mean of a pixel's samples as three bytes.
WANDER_HOST_DEVICE inline void draw_pixel(const SceneView& scene, const CameraView& camera, const PictureFormat& format,
                                          int column, int row, std::uint8_t* rgb) {
    const float focal_y = format.focal * static_cast<float>(format.width) / static_cast<float>(format.height);
    const float side = static_cast<float>(format.samples);
    Vec3 sum;
    for (int j = 0; j < format.samples; ++j) {
        for (int i = 0; i < format.samples; ++i) {
            const float u =
                (static_cast<float>(column) + (static_cast<float>(i) + 0.5f) / side) / static_cast<float>(format.width);
            const float v =
                (static_cast<float>(row) + (static_cast<float>(j) + 0.5f) / side) / static_cast<float>(format.height);
            sum = sum + camera_color(scene, camera, u, v, format.focal, focal_y);
        }
    }
    const Vec3 mean = sum * (1.0f / (side * side));
    rgb[0] = to_byte(mean.x);
    rgb[1] = to_byte(mean.y);
    rgb[2] = to_byte(mean.z);
}

} // namespace wander::scene
