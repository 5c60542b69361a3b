#pragma once
// A place ready to be drawn: primitives on a torus of 16 x 16 units, ground, sky and lights as plain numbers.
//
// x right, z forward at yaw 0, y up; one unit is about 2.5 m; the ground is y = 0. Every position is meant modulo the
// period. Colours are linear factors, 1 is white; the tone curve comes last. `SceneView` is what the ray code takes: it
// points into host memory (Scene::view) or device memory.

#include "generator/world/scene/vector3.hpp"

#include <cstdint>
#include <vector>

namespace wander::scene {

inline constexpr int kPeriod = 16;           // side of the torus in units; cells of one unit
inline constexpr float kEyeHeight = 0.62f;   // of the camera above the ground
inline constexpr float kFarDistance = 14.5f; // beyond it there is only sky, so no tile is seen twice

enum class Shape : std::uint8_t { box, cylinder, cone, ellipsoid, gable, pyramid };

// What a surface looks like; see textures.hpp.
enum class Texture : std::uint8_t {
    plain,
    house,
    brick,
    roof,
    bark,
    leaf,
    stone,
    lamp,
    neon,
    dome,
    stripe,
    crate,
    log,
    planks,
    dots,
};

// Stands on its base at y and is turned about the vertical axis; an ellipsoid has its centre at y.
struct Primitive {
    Shape shape = Shape::box;
    Texture texture = Texture::plain;
    float x = 0;
    float y = 0;
    float z = 0;
    float cos_turn = 1;
    float sin_turn = 0;
    float size_x = 0; // half width or radius
    float size_y = 0; // height; an ellipsoid's radius
    float size_z = 0; // half depth
    Vec3 color;
    Vec3 accent;   // second colour of the texture
    Vec3 glow;     // of lit windows
    float lit = 0; // share of the windows that are lit
    std::uint32_t seed = 0;
    float keep_away = 0;     // > 0: solid; nobody comes nearer to the footprint than this
    float middle_y = 0;      // centre and squared radius of a ball around everything
    float reach_squared = 0; //
};

struct Light {
    float x = 0;
    float y = 0;
    float z = 0;
    Vec3 color;
};

struct Pond {
    float x = 0;
    float z = 0;
    float radius = 0;
    Vec3 color;
};

// Where a ground layer lies, and what it is covered with.
enum class GroundPlace : std::uint8_t { everywhere, paths, disc, circle, grid };
enum class GroundSurface : std::uint8_t { flat, sand, bricks, tiles, checker, planks };

struct GroundLayer {
    GroundPlace place = GroundPlace::everywhere;
    GroundSurface surface = GroundSurface::flat;
    Vec3 color;
    Vec3 line_color;
    float strength = 1;
    float edge = 0;        // strength of a line in line_color along the border of paths and discs
    float scale = 1;       // tiles, bricks, boards or grid lines a unit
    float radius = 0;      // of a disc, a circle, or the ring of the paths (0: no ring)
    float half_width = 0;  // of a path, a circle's line or a grid line
    float ring_wobble = 0; // units
    float road_wobble = 0; // units
    float roads_from = 0;  // the roads begin at this distance from the middle
    float roads_x = 0;     // 1: a road along the x axis
    float roads_z = 0;     // 1: a road along the z axis
};

struct Sky {
    Vec3 zenith;
    Vec3 horizon;
    Vec3 sun; // unit vector towards it
    Vec3 sun_color;
    Vec3 glow; // around the sun
    Vec3 cloud_color;
    Vec3 mountain_color;
    float clouds = 0;    // 0 none, 1 solid
    float stars = 0;     // brightness
    float mountains = 0; // height as a tangent
};

// The copy of a primitive that reaches into a cell, with its ball: most rays miss it, and need nothing else.
struct CellEntry {
    float x = 0; // of this copy; the primitive's own may be a period away
    float middle_y = 0;
    float z = 0;
    float reach_squared = 0;
    std::int32_t primitive = 0;
};

struct SceneView {
    const Primitive* primitives = nullptr;
    const Light* lights = nullptr;
    const Pond* ponds = nullptr;
    const GroundLayer* layers = nullptr;
    const std::uint32_t* cell_starts = nullptr; // [16 * 16 + 1], row z, column x
    const CellEntry* cell_entries = nullptr;
    int primitive_count = 0;
    int light_count = 0;
    int pond_count = 0;
    int layer_count = 0;
    Sky sky;
    Vec3 ambient;
    Vec3 fog_color;
    Vec3 ground[2];
    float fog_density = 0;
    float top = 0; // no primitive is higher
    std::uint32_t seed = 0;
};

// Owns what a view on the host points into. Immutable after build_cells(); any thread.
struct Scene {
    std::vector<Primitive> primitives;
    std::vector<Light> lights;
    std::vector<Pond> ponds;
    std::vector<GroundLayer> layers;
    std::vector<std::uint32_t> cell_starts;
    std::vector<CellEntry> cell_entries;
    SceneView rest; // everything but pointers and counts

    SceneView view() const;
};

// Fills the bounding balls, the cells and the top from the primitives.
void build_cells(Scene& scene);

// Does it darken the ground around its foot?
WANDER_HOST_DEVICE inline bool throws_contact(const Primitive& p) { return p.y <= 0.05f && p.keep_away > 0; }

// A coordinate in [-8, 8).
WANDER_HOST_DEVICE inline float wrapped(float x) {
    return x - kPeriod * floored((x + kPeriod * 0.5f) * (1.0f / kPeriod));
}

} // namespace wander::scene
