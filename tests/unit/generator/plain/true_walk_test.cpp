// Random walks for training, frames between latents, and the file of a true walk.

#include "generator/world/walks/true_walk.hpp"
#include "generator/camera/actions.hpp"
#include "generator/world/theme/theme.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <numbers>
#include <set>

namespace wander {
namespace {

const Theme& village() {
    static const Theme kTheme = [] {
        auto read = Theme::read(std::filesystem::path(WANDER_SOURCE_DIR) / "assets/themes/village.json");
        EXPECT_TRUE(read);
        return read ? *read : Theme{};
    }();
    return kTheme;
}

bool same(const TrueWalk& a, const TrueWalk& b) {
    if (a.labels != b.labels || a.poses.size() != b.poses.size()) return false;
    for (std::size_t i = 0; i < a.poses.size(); ++i) {
        if (a.poses[i].x != b.poses[i].x || a.poses[i].z != b.poses[i].z || a.poses[i].yaw != b.poses[i].yaw ||
            a.poses[i].pitch != b.poses[i].pitch)
            return false;
    }
    return true;
}

TEST(RandomWalk, DependsOnSeedAndNumberAlone) {
    const WalkableMap& map = village().map;
    const TrueWalk walk = random_walk(map, std::nullopt, 5, 2, 120);
    EXPECT_TRUE(same(walk, random_walk(map, std::nullopt, 5, 2, 120)));
    EXPECT_FALSE(same(walk, random_walk(map, std::nullopt, 5, 3, 120)));
    EXPECT_FALSE(same(walk, random_walk(map, std::nullopt, 6, 2, 120)));
    TrueWalk shorter = random_walk(map, std::nullopt, 5, 2, 60);
    TrueWalk cut = walk;
    cut.poses.resize(61);
    cut.labels.resize(61);
    EXPECT_TRUE(same(shorter, cut)) << "a longer walk begins like a shorter one";
    EXPECT_EQ(random_walk(map, village().starts[0].pose, 5, 2, 9).poses[0].z, village().starts[0].pose.z);
}

TEST(CloseStart, StandsFreeAndLooksAtSomethingNear) {
    const WalkableMap& map = village().map;
    std::set<float> places;
    for (std::uint64_t n = 0; n < 100; ++n) {
        const Pose pose = close_start(map, 9, n);
        EXPECT_TRUE(map.free_at(pose.x, pose.z));
        bool blocked = false;
        for (double turn = -0.6; turn <= 0.6; turn += 0.02) {
            for (double ahead = 0.05; ahead <= 0.45; ahead += 0.02)
                blocked |= !map.free_at(pose.x + ahead * std::sin(pose.yaw + turn),
                                        pose.z + ahead * std::cos(pose.yaw + turn));
        }
        EXPECT_TRUE(blocked) << n;
        EXPECT_EQ(pose.x, close_start(map, 9, n).x);
        places.insert(pose.x);
    }
    EXPECT_EQ(places.size(), 100U);
}

TEST(CloseStart, IsAnywhereFreeWhereNothingStands) {
    const auto map = WalkableMap::from_hex({"f", "f", "f", "f"}, 4, 16);
    ASSERT_TRUE(map);
    const Pose pose = close_start(*map, 1, 1);
    EXPECT_TRUE(map->free_at(pose.x, pose.z));
}

TEST(RandomWalk, StaysOnFreeGroundAndLabelsWhatWasDone) {
    const WalkableMap& map = village().map;
    std::set<int> labels;
    double length = 0;
    int steps = 0;
    for (std::uint64_t n = 0; n < 40; ++n) {
        const TrueWalk walk = random_walk(map, std::nullopt, 1, n, 120);
        ASSERT_EQ(walk.poses.size(), 121U);
        ASSERT_EQ(walk.labels.size(), 121U);
        EXPECT_EQ(walk.labels[0], 0);
        for (std::size_t i = 0; i < walk.poses.size(); ++i) {
            ASSERT_TRUE(map.free_at(walk.poses[i].x, walk.poses[i].z)) << n << " " << i;
            ASSERT_LE(std::abs(walk.poses[i].pitch), 0.61f);
            if (i == 0) continue;
            const double moved =
                std::hypot(walk.poses[i].x - walk.poses[i - 1].x, walk.poses[i].z - walk.poses[i - 1].z);
            ASSERT_LE(moved, 0.26 + 1e-5);
            ASSERT_EQ(walk.labels[i], action_label(walk.poses[i - 1], walk.poses[i], 1e-3));
            labels.insert(walk.labels[i]);
            length += moved;
            ++steps;
        }
    }
    EXPECT_GT(labels.size(), 25U);
    EXPECT_GT(length / steps, 0.08) << "walks stand too much";
}

TEST(FramePoses, GoStraightAndTurnTheShortWay) {
    constexpr float kAlmostHalf = 3.1f;
    const TrueWalk walk{{{0, 0, kAlmostHalf, 0}, {0.2f, -0.4f, -kAlmostHalf, 0.1f}}, {0, 0}};
    const auto frames = frame_poses(walk);
    ASSERT_EQ(frames.size(), 5U);
    EXPECT_FLOAT_EQ(frames[1].x, 0.05f);
    EXPECT_FLOAT_EQ(frames[2].z, -0.2f);
    EXPECT_FLOAT_EQ(frames[3].pitch, 0.075f);
    EXPECT_NEAR(frames[2].yaw, std::numbers::pi, 1e-5) << "half a turn lies between";
    EXPECT_EQ(frames[4].yaw, -kAlmostHalf);
    EXPECT_TRUE(frame_poses({}).empty());
}

TEST(TrueWalkFile, IsReadBackAsItWas) {
    const auto file =
        std::filesystem::path(::testing::TempDir()) / ("wander_true_walk_test." + std::to_string(::getpid()) + ".json");
    const TrueWalk walk = random_walk(village().map, std::nullopt, 9, 0, 30);
    std::ofstream(file) << true_walk_json(walk, "vil\"lage");
    const auto read = read_true_walk(file);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_TRUE(same(walk, *read));
    std::ofstream(file) << R"({"kind": "wander-true-walk", "version": 1, "poses": [[0,0,0,0],[0,0.2,0,0]]})";
    const auto bare = read_true_walk(file);
    ASSERT_TRUE(bare) << bare.error().message;
    EXPECT_EQ(bare->labels, (std::vector<int>{0, 9})) << "labels follow from the poses";
    for (const char* bad : {R"({"kind": "other", "version": 1, "poses": [[0,0,0,0]]})",
                            R"({"kind": "wander-true-walk", "version": 1, "poses": [[0,0,0]]})",
                            R"({"kind": "wander-true-walk", "version": 1, "poses": []})",
                            R"({"kind": "wander-true-walk", "version": 1, "poses": [[0,0,0,3]]})",
                            R"({"kind": "wander-true-walk", "version": 1, "poses": [[0,0,0,0]], "labels": [81]})",
                            R"({"kind": "wander-true-walk", "version": 1, "poses": [[0,0,0,0]], "labels": [0, 1]})"}) {
        std::ofstream(file) << bad;
        EXPECT_FALSE(read_true_walk(file)) << bad;
    }
    std::filesystem::remove(file);
}

} // namespace
} // namespace wander
