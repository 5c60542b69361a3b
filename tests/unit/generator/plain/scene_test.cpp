// The ray caster against slow, obvious ways: all copies of all primitives; marching along the ray; one thread.

#include "generator/plain/keyed_random.hpp"
#include "generator/world/scene/render_cpu.hpp"
#include "generator/world/theme/theme.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace wander::scene {
namespace {

Theme theme(const char* name) {
    auto read = Theme::read(std::filesystem::path(WANDER_SOURCE_DIR) / "assets/themes" / (std::string(name) + ".json"));
    EXPECT_TRUE(read) << (read ? "" : read.error().message);
    return read ? *read : Theme{};
}

Vec3 random_direction(const KeyedRandom& random) {
    return normalized({static_cast<float>(random.between(0, -1, 1)), static_cast<float>(random.between(1, -0.4, 0.4)),
                       static_cast<float>(random.between(2, -1, 1))});
}

// Every copy of every primitive within reach, nothing skipped.
Surface nearest_of_all(const Scene& scene, Vec3 o, Vec3 d) {
    Surface best;
    best.t = kFarDistance;
    if (d.y < -1e-5f && -o.y / d.y < kFarDistance) {
        best.t = -o.y / d.y;
        best.id = -1;
    }
    for (int i = -2; i <= 2; ++i) {
        for (int j = -2; j <= 2; ++j) {
            for (std::size_t k = 0; k < scene.primitives.size(); ++k) {
                const Primitive& p = scene.primitives[k];
                const Vec3 copy{p.x + static_cast<float>(kPeriod * i), p.y, p.z + static_cast<float>(kPeriod * j)};
                if (hit_primitive(p, o - copy, d, best.t, best)) best.id = static_cast<int>(k);
            }
        }
    }
    return best;
}

TEST(SceneTrace, CellsFindWhatTryingAllCopiesFinds) {
    for (const char* name : {"village", "neon", "mushrooms"}) {
        const Theme place = theme(name);
        const SceneView view = place.scene.view();
        int hits = 0;
        for (std::uint64_t i = 0; i < 4000; ++i) {
            const KeyedRandom random = KeyedRandom(3).child(i);
            const Vec3 o{static_cast<float>(random.between(5, -8, 8)), kEyeHeight,
                         static_cast<float>(random.between(6, -8, 8))};
            const Vec3 d = random_direction(random);
            Surface found;
            trace_nearest(view, o, d, kFarDistance, found);
            const Surface expected = nearest_of_all(place.scene, o, d);
            ASSERT_NEAR(found.t, expected.t, 1e-3f) << name << " ray " << i;
            if (found.t < kFarDistance) {
                ASSERT_EQ(found.id, expected.id) << name << " ray " << i;
            }
            hits += found.id >= 0 ? 1 : 0;
        }
        EXPECT_GT(hits, 500) << name;
    }
}

bool inside(const Primitive& p, Vec3 q) {
    const float x = std::abs(q.x);
    const float z = std::abs(q.z);
    if (p.shape == Shape::ellipsoid)
        return q.x * q.x / (p.size_x * p.size_x) + q.y * q.y / (p.size_y * p.size_y) +
                   q.z * q.z / (p.size_z * p.size_z) <=
               1;
    if (q.y < 0 || q.y > p.size_y) return false;
    const float left = 1 - q.y / p.size_y;
    switch (p.shape) {
        case Shape::box: return x <= p.size_x && z <= p.size_z;
        case Shape::gable: return x <= p.size_x && z <= p.size_z * left;
        case Shape::pyramid: return x <= p.size_x * left && z <= p.size_z * left;
        case Shape::cone: return std::hypot(q.x, q.z) <= p.size_x * left;
        default: return std::hypot(q.x, q.z) <= p.size_x;
    }
}

TEST(SceneIntersect, EveryShapeIsEnteredWhereMarchingEntersIt) {
    constexpr float kMarch = 1e-3f;
    for (const Shape shape :
         {Shape::box, Shape::cylinder, Shape::cone, Shape::ellipsoid, Shape::gable, Shape::pyramid}) {
        Scene scene;
        Primitive p;
        p.shape = shape;
        p.x = 0.3f;
        p.z = -0.2f;
        p.y = 0.1f;
        p.cos_turn = std::cos(0.6f);
        p.sin_turn = std::sin(0.6f);
        p.size_x = 0.7f;
        p.size_y = 0.9f;
        p.size_z = shape == Shape::cylinder || shape == Shape::cone ? 0.7f : 0.5f;
        scene.primitives.push_back(p);
        build_cells(scene);
        p = scene.primitives[0];
        int hits = 0;
        for (std::uint64_t i = 0; i < 300; ++i) {
            const KeyedRandom random = KeyedRandom(7).child(i);
            const double around = random.between(0, 0, 6.3);
            const Vec3 o{static_cast<float>(2.5 * std::sin(around)), static_cast<float>(random.between(1, 0.05, 1.6)),
                         static_cast<float>(2.5 * std::cos(around))};
            const Vec3 goal{static_cast<float>(random.between(2, -0.6, 1.2)),
                            static_cast<float>(random.between(3, 0, 1.2)),
                            static_cast<float>(random.between(4, -1.1, 0.7))};
            const Vec3 d = normalized(goal - o);
            float marched = -1;
            for (float t = 0; t < 5 && marched < 0; t += kMarch) {
                const Vec3 at = o + d * t - Vec3{p.x, p.y, p.z};
                if (inside(p, {p.cos_turn * at.x - p.sin_turn * at.z, at.y, p.sin_turn * at.x + p.cos_turn * at.z}))
                    marched = t;
            }
            Surface surface;
            surface.t = 5;
            const bool missed = misses_ball(o - Vec3{p.x, p.middle_y, p.z}, d, p.reach_squared);
            const bool hit = !missed && hit_primitive(p, o - Vec3{p.x, p.y, p.z}, d, 5, surface);
            if (marched < 0) {
                continue; // marching may step over a corner that a ray only grazes
            }
            ++hits;
            ASSERT_TRUE(hit) << static_cast<int>(shape) << " ray " << i;
            ASSERT_NEAR(surface.t, marched, 2 * kMarch) << static_cast<int>(shape) << " ray " << i;
            EXPECT_NEAR(dot(surface.normal, surface.normal), 1, 1e-3);
        }
        EXPECT_GT(hits, 80) << static_cast<int>(shape);
    }
}

std::vector<std::uint8_t> draw(const Theme& place, const std::vector<Pose>& poses, int threads) {
    PictureFormat format;
    format.width = 96;
    format.height = 56;
    std::vector<std::uint8_t> rgb(poses.size() * 96 * 56 * 3);
    draw_pictures(place.scene.view(), poses, format, threads, rgb.data());
    return rgb;
}

TEST(SceneRender, ThreadsChangeNothing) {
    const Theme place = theme("harbour");
    const std::vector<Pose> poses{place.starts[0].pose, place.starts[1].pose, {1, 3, 2, 0.1f}};
    const auto alone = draw(place, poses, 1);
    EXPECT_EQ(alone, draw(place, poses, 3));
    EXPECT_EQ(alone, draw(theme("harbour"), poses, 0));
}

TEST(SceneRender, ATileFurtherIsTheSamePlace) {
    const Theme place = theme("winter");
    const std::vector<Pose> here{{0.5f, -3.75f, 0.4f, 0}};
    const std::vector<Pose> there{{0.5f + 3 * kPeriod, -3.75f - 7 * kPeriod, 0.4f, 0}};
    EXPECT_EQ(draw(place, here, 2), draw(place, there, 2));
    const std::vector<Pose> elsewhere{{0.75f, -3.75f, 0.4f, 0}};
    EXPECT_NE(draw(place, here, 2), draw(place, elsewhere, 2));
}

// The ground has no seam at the border of the tile.
TEST(SceneGround, GoesOnAcrossTheBorder) {
    for (const char* name : {"village", "winter", "neon", "harbour", "mushrooms", "chess"}) {
        const Theme place = theme(name);
        const SceneView view = place.scene.view();
        for (int i = 0; i < 64; ++i) {
            const float along = -8.0f + static_cast<float>(i) / 4;
            const Vec3 left = ground_color(view, 7.9999f, along, 1);
            const Vec3 right = ground_color(view, -7.9999f, along, 1);
            EXPECT_NEAR(left.x, right.x, 0.02f) << name << " " << along;
            const Vec3 front = ground_color(view, along, 7.9999f, 1);
            const Vec3 back = ground_color(view, along, -7.9999f, 1);
            EXPECT_NEAR(front.x, back.x, 0.02f) << name << " " << along;
        }
    }
}

} // namespace
} // namespace wander::scene
