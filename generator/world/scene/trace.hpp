#pragma once
// Follows a ray over the torus: cell after cell of the 16 x 16 tile, each primitive at its copy nearest to the cell.

#include "generator/world/scene/intersect.hpp"
#include "generator/world/scene/lattice_noise.hpp"

namespace wander::scene {

WANDER_HOST_DEVICE inline int cell_index(int ix, int iz) {
    static_assert((kPeriod & (kPeriod - 1)) == 0, "whole coordinates are wrapped by their lowest bits");
    return (iz & (kPeriod - 1)) * kPeriod + (ix & (kPeriod - 1));
}

// Nearest primitive closer than surface.t; with `shadow` any of them that throws a shadow (lamps do not).
WANDER_HOST_DEVICE inline bool trace_primitives(const SceneView& scene, Vec3 o, Vec3 d, float limit, bool shadow,
                                                Surface& surface) {
    float far = limit;
    if (o.y > scene.top && d.y >= 0) return false;
    if (d.y > 1e-6f) far = smaller(far, (scene.top - o.y) / d.y);
    int ix = floor_int(o.x);
    int iz = floor_int(o.z);
    const int step_x = d.x > 0 ? 1 : -1;
    const int step_z = d.z > 0 ? 1 : -1;
    const float per_x = fabsf(d.x) < 1e-7f ? 1e30f : 1.0f / fabsf(d.x);
    const float per_z = fabsf(d.z) < 1e-7f ? 1e30f : 1.0f / fabsf(d.z);
    float next_x = (d.x > 0 ? static_cast<float>(ix + 1) - o.x : o.x - static_cast<float>(ix)) * per_x;
    float next_z = (d.z > 0 ? static_cast<float>(iz + 1) - o.z : o.z - static_cast<float>(iz)) * per_z;
    bool found = false;
    for (int visited = 0; visited < 4 * kPeriod; ++visited) {
        const int cell = cell_index(ix, iz);
        // The origin as seen from the tile that holds the cell.
        const Vec3 here{o.x - static_cast<float>(ix - (ix & (kPeriod - 1))), o.y,
                        o.z - static_cast<float>(iz - (iz & (kPeriod - 1)))};
        const std::uint32_t end = scene.cell_starts[cell + 1];
        for (std::uint32_t k = scene.cell_starts[cell]; k < end; ++k) {
            const CellEntry& entry = scene.cell_entries[k];
            const Vec3 from_copy{here.x - entry.x, 0, here.z - entry.z};
            if (misses_ball({from_copy.x, o.y - entry.middle_y, from_copy.z}, d, entry.reach_squared)) continue;
            const Primitive& p = scene.primitives[entry.primitive];
            if (shadow && p.texture == Texture::lamp) continue;
            if (hit_primitive(p, {from_copy.x, o.y - p.y, from_copy.z}, d, surface.t, surface)) {
                if (shadow) return true;
                surface.id = entry.primitive;
                found = true;
            }
        }
        const float leave = smaller(next_x, next_z);
        if (surface.t <= leave || leave >= far) break;
        if (next_x < next_z) {
            next_x += per_x;
            ix += step_x;
        } else {
            next_z += per_z;
            iz += step_z;
        }
    }
    return found;
}

// The nearest thing within `limit`, ground included; surface.id says which.
WANDER_HOST_DEVICE inline bool trace_nearest(const SceneView& scene, Vec3 o, Vec3 d, float limit, Surface& surface) {
    surface.t = limit;
    surface.id = -2;
    if (d.y < -1e-5f) {
        const float t = -o.y / d.y;
        if (t > kNearest && t < limit) {
            surface.t = t;
            surface.id = -1;
        }
    }
    trace_primitives(scene, o, d, limit, false, surface);
    return surface.id != -2;
}

WANDER_HOST_DEVICE inline bool in_shadow(const SceneView& scene, Vec3 o, Vec3 towards_light) {
    Surface surface;
    surface.t = kFarDistance;
    return trace_primitives(scene, o, towards_light, kFarDistance, true, surface);
}

} // namespace wander::scene
