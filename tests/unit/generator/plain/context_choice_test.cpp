// Context choice: the cheap overlap against its slow twin, rules, ties, positions.

#include "generator/memory/context_choice.hpp"

#include "generator/plain/hash.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace wander {
namespace {

constexpr double kDegrees = 180 / std::numbers::pi;

std::vector<BallPoint> ball(int count) {
    std::vector<BallPoint> points;
    const auto uniform = [](std::uint64_t i) { return static_cast<float>(splitmix64(i) >> 40) * 0x1p-24F; };
    for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(count); ++i)
        points.push_back(ball_point(uniform(3 * i), uniform(3 * i + 1), uniform(3 * i + 2), 8));
    return points;
}

// The definition in angles, with all points: counts of the new view, and of it in the old view.
std::pair<int, int> slow_overlap(const std::vector<BallPoint>& points, const Matrix4& new_camera,
                                 const Matrix4& old_camera, const ViewCone& cone) {
    const Matrix4 old = multiply(rigid_inverse(new_camera), old_camera);
    const auto in_cone = [&cone](double x, double y, double z, double ax, double ay, double az) {
        const double across = std::remainder((std::atan2(x, z) - std::atan2(ax, az)) * kDegrees, 360.0);
        const double up = (std::atan2(y, std::hypot(x, z)) - std::atan2(ay, std::hypot(ax, az))) * kDegrees;
        return std::abs(across) <= cone.width_degrees / 2 && std::abs(up) <= cone.height_degrees / 2;
    };
    int all = 0;
    int seen = 0;
    for (const BallPoint& p : points) {
        if (!in_cone(p.x, p.y, p.z, 0, 0, 1)) continue;
        ++all;
        const double x = p.x - old[3], y = p.y - old[7], z = p.z - old[11];
        if (in_cone(x, y, z, old[2], old[6], old[10]) && x * x + y * y + z * z <= cone.radius * cone.radius) ++seen;
    }
    return {all, seen};
}

TEST(ViewOverlap, EqualsItsSlowTwin) {
    const auto points = ball(20'000);
    const ViewOverlap overlap(points);
    int differ = 0;
    int compared = 0;
    for (std::uint64_t i = 0; i < 60; ++i) {
        const auto angle = [i](std::uint64_t part, double most) {
            return (static_cast<double>(splitmix64(1000 + 8 * i + part) >> 40) * 0x1p-23 - 1) * most;
        };
        // Steep views too: a cone may hold a pole.
        Matrix4 now = camera_to_world(angle(0, 3), angle(1, 3), angle(2, 3.1), angle(3, 1.2));
        Matrix4 old = camera_to_world(angle(4, 3), angle(5, 3),
                                      now[0] > 0 ? angle(2, 3.1) + angle(6, 0.7) : angle(6, 3.1), angle(7, 1.5));
        now[7] = angle(3, 1);
        const auto [all, seen] = slow_overlap(points, now, old, {});
        ASSERT_EQ(overlap.points(), all);
        // A point on a border may fall to the other side: one in 20,000 points is allowed to.
        EXPECT_LE(std::abs(overlap.seen(rigid_inverse(now), old) - seen), 1);
        differ += overlap.seen(rigid_inverse(now), old) != seen ? 1 : 0;
        compared += seen > 0 ? 1 : 0;
    }
    EXPECT_LE(differ, 2);
    EXPECT_GE(compared, 20);
}

TEST(ViewOverlap, OfTheSameViewIsOneAndOfTheOppositeNothing) {
    const ViewOverlap overlap = ViewOverlap::of_seed(7);
    EXPECT_NEAR(overlap.points(), 2506, 150);
    const Matrix4 here = camera_to_world(3, -2, 1.1, 0.2);
    const Matrix4 turned = camera_to_world(3, -2, 1.1 + 3.14159, -0.2);
    EXPECT_EQ(overlap.seen(rigid_inverse(here), here), overlap.points());
    EXPECT_EQ(overlap.seen(rigid_inverse(here), turned), 0);
    EXPECT_EQ(ViewOverlap::of_seed(7).points(), overlap.points());
    EXPECT_NE(ViewOverlap::of_seed(8).points(), overlap.points());
    EXPECT_EQ(ViewOverlap(std::vector<BallPoint>{}).points(), 1) << "nothing is divided by zero";
}

std::vector<std::int64_t> range(std::int64_t begin, std::int64_t end) {
    std::vector<std::int64_t> list(static_cast<std::size_t>(end - begin));
    std::iota(list.begin(), list.end(), begin);
    return list;
}

std::vector<std::int64_t> joined(std::vector<std::int64_t> a, const std::vector<std::int64_t>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

TEST(ContextChoice, TakesAllWhileTheyFitAndNeedsNoCameras) {
    const ViewOverlap overlap = ViewOverlap::of_seed(1);
    for (const ContextRules& rules :
         {ContextRules::worldplay_8b(), ContextRules::wan_5b(), ContextRules::wan_5b_long(48)}) {
        EXPECT_TRUE(rules.valid());
        for (std::int64_t first = 0; first <= rules.latents; first += 4) {
            EXPECT_FALSE(context_needs_cameras(rules, first));
            EXPECT_EQ(choose_context(rules, first, {}, overlap).latents, range(0, first));
        }
        EXPECT_TRUE(context_needs_cameras(rules, rules.latents + 4));
    }
    EXPECT_FALSE((ContextRules{20, 12, 0, 4}.valid()));
    EXPECT_FALSE((ContextRules{19, 11, 4, 4}.valid()));
}

// Of a camera that stands still every clip is as good as the other: the earliest is taken, exactly.
TEST(ContextChoice, ExactTiesKeepTheEarliestClip) {
    const ViewOverlap overlap = ViewOverlap::of_seed(1);
    const auto cameras = cameras_from_moves(std::vector<CameraMove>(59));
    const ContextChoice big = choose_context(ContextRules::worldplay_8b(), 56, cameras, overlap);
    EXPECT_EQ(big.clip, 4);
    EXPECT_EQ(big.latents, joined(range(0, 8), range(44, 56)));
    EXPECT_EQ(big.distances, std::vector<double>(10, 0.0));
    const ContextChoice small = choose_context(ContextRules::wan_5b(), 56, cameras, overlap);
    EXPECT_EQ(small.clip, 0);
    EXPECT_EQ(small.latents, joined(range(0, 4), range(44, 56)));
}

TEST(ContextChoice, FindsTheClipThatSawThePlace) {
    const ViewOverlap overlap = ViewOverlap::of_seed(1);
    // To the right, back, and to the right again: latents 4 and 6 looked where 64..67 will look.
    const auto path = cameras_from_pose_string("right-30,left-30,right-30");
    ASSERT_TRUE(path);
    const ContextChoice choice = choose_context(ContextRules::wan_5b(), 64, *path, overlap);
    EXPECT_EQ(choice.clip, 4);
    EXPECT_EQ(choice.latents, joined(range(4, 8), range(52, 64)));
    ASSERT_EQ(choice.distances.size(), 13u);
    for (std::size_t i = 0; i < choice.distances.size(); ++i) EXPECT_GE(choice.distances[i], choice.distances[1]) << i;
}

TEST(ContextChoice, NumbersTimeAnewForEachChunk) {
    const ChunkPositions positions = reframed_positions(3, 2);
    EXPECT_EQ(positions.context, (std::vector<float>{0, 1, 2}));
    EXPECT_EQ(positions.chunk, (std::vector<float>{3, 4}));
    EXPECT_EQ(reframed_positions(0, 4).chunk, (std::vector<float>{0, 1, 2, 3}));
}

} // namespace
} // namespace wander
