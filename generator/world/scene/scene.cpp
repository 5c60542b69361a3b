#include "generator/world/scene/scene.hpp"

#include <algorithm>

namespace wander::scene {

namespace {

// Contact shading of what stands on the ground reaches so far from a footprint into neighbouring cells.
constexpr float kContactReach = 0.45f;

constexpr float kMargin = 0.01f; // of a footprint, for rounding

bool has_corners(Shape shape) { return shape == Shape::box || shape == Shape::gable || shape == Shape::pyramid; }

// Radius of a circle around the footprint.
float footprint_radius(const Primitive& p) {
    if (has_corners(p.shape)) return std::sqrt(p.size_x * p.size_x + p.size_z * p.size_z);
    return p.shape == Shape::ellipsoid ? std::max(p.size_x, p.size_z) : p.size_x;
}

void fill_ball(Primitive& p) {
    const float radius = footprint_radius(p);
    if (p.shape == Shape::ellipsoid) {
        p.middle_y = p.y;
        p.reach_squared = std::max(radius, p.size_y) * std::max(radius, p.size_y);
    } else {
        p.middle_y = p.y + 0.5f * p.size_y;
        p.reach_squared = radius * radius + 0.25f * p.size_y * p.size_y;
    }
    p.reach_squared = p.reach_squared * 1.001f + 1e-4f; // rounding must never cut a surface off
}

float outside(float offset) { return std::max(std::abs(wrapped(offset)) - 0.5f, 0.0f); }

int turns(float cell_middle, float position) {
    return static_cast<int>(std::nearbyint((cell_middle - position) / kPeriod));
}

} // namespace

SceneView Scene::view() const {
    SceneView view = rest;
    view.primitives = primitives.data();
    view.primitive_count = static_cast<int>(primitives.size());
    view.lights = lights.data();
    view.light_count = static_cast<int>(lights.size());
    view.ponds = ponds.data();
    view.pond_count = static_cast<int>(ponds.size());
    view.layers = layers.data();
    view.layer_count = static_cast<int>(layers.size());
    view.cell_starts = cell_starts.data();
    view.cell_entries = cell_entries.data();
    return view;
}

void build_cells(Scene& scene) {
    scene.rest.top = 0;
    for (Primitive& p : scene.primitives) {
        fill_ball(p);
        scene.rest.top = std::max(scene.rest.top, p.y + p.size_y);
    }
    scene.rest.top += 0.01f;
    scene.cell_starts.clear();
    scene.cell_entries.clear();
    for (int j = 0; j < kPeriod; ++j) {
        for (int i = 0; i < kPeriod; ++i) {
            scene.cell_starts.push_back(static_cast<std::uint32_t>(scene.cell_entries.size()));
            const float x = static_cast<float>(i) + 0.5f;
            const float z = static_cast<float>(j) + 0.5f;
            for (std::size_t k = 0; k < scene.primitives.size(); ++k) {
                const Primitive& p = scene.primitives[k];
                const float reach = footprint_radius(p) + (throws_contact(p) ? kContactReach : kMargin);
                const float dx = outside(p.x - x);
                const float dz = outside(p.z - z);
                if (dx * dx + dz * dz < reach * reach) {
                    const float copy_x = p.x + static_cast<float>(kPeriod * turns(x, p.x));
                    const float copy_z = p.z + static_cast<float>(kPeriod * turns(z, p.z));
                    scene.cell_entries.push_back(
                        {copy_x, p.middle_y, copy_z, p.reach_squared, static_cast<std::int32_t>(k)});
                }
            }
        }
    }
    scene.cell_starts.push_back(static_cast<std::uint32_t>(scene.cell_entries.size()));
}

} // namespace wander::scene
