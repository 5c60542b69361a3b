// Walking over a bitmap: walls, sliding, the torus border, lengths, limits.

#include "generator/camera/walker.hpp"
#include "generator/camera/actions.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <fstream>
#include <random>

namespace wander {
namespace {

constexpr int kCells = 128;
constexpr double kPeriod = 16;

const WalkerLimits kLimits{.move_per_latent = 0.22,
                           .yaw_per_latent = 0.1309,
                           .pitch_per_latent = 0.0916,
                           .max_yaw_per_latent = 0.157,
                           .max_pitch_per_latent = 0.11,
                           .pitch_limit = 0.35};

ControlState holding(std::initializer_list<Action> actions) {
    ControlState state;
    for (Action a : actions) state.set(a, true);
    return state;
}

// Everything free but the cells whose x lies in [1, 2).
WalkableMap map_with_wall() {
    std::string row;
    for (int digit = 0; digit < kCells / 4; ++digit) row += (digit == 2 || digit == 3) ? '0' : 'f';
    auto map = WalkableMap::from_hex(std::vector<std::string>(kCells, row), kCells, kPeriod);
    EXPECT_TRUE(map);
    return *map;
}

TEST(WalkableMap, ReadsBitsFromTheMostSignificantAndRepeats) {
    std::vector<std::string> rows(kCells, std::string(kCells / 4, '0'));
    rows[3][0] = '4'; // x cell 1
    const auto map = WalkableMap::from_hex(rows, kCells, kPeriod);
    ASSERT_TRUE(map);
    const double x = 1.5 * kPeriod / kCells;
    const double z = 3.5 * kPeriod / kCells;
    EXPECT_TRUE(map->free_at(x, z));
    EXPECT_TRUE(map->free_at(x - kPeriod, z + 5 * kPeriod));
    EXPECT_FALSE(map->free_at(x + kPeriod / kCells, z));
    EXPECT_FALSE(map->free_at(x, z - kPeriod / kCells));
    EXPECT_FALSE(map->free_at(-1e-18, z));
}

TEST(WalkableMap, RefusesRowsThatAreNotSquareHex) {
    EXPECT_FALSE(WalkableMap::from_hex({}, kCells, kPeriod));
    std::vector<std::string> rows(kCells, std::string(kCells / 4, 'f'));
    rows[9].pop_back();
    EXPECT_FALSE(WalkableMap::from_hex(rows, kCells, kPeriod));
    rows[9] += 'g';
    EXPECT_FALSE(WalkableMap::from_hex(rows, kCells, kPeriod));
    EXPECT_FALSE(WalkableMap::from_hex(rows, 0, kPeriod));
    EXPECT_FALSE(WalkableMap::from_hex(rows, kCells, 0));
}

TEST(Walker, TurnsFirstAndMovesAlongTheNewYaw) {
    Walker walker(nullptr, kLimits, {});
    const auto step = walker.step(holding({Action::forward, Action::yaw_right}));
    EXPECT_FLOAT_EQ(step.pose.yaw, 0.1309f);
    EXPECT_FLOAT_EQ(step.pose.x, static_cast<float>(0.22 * std::sin(0.1309)));
    EXPECT_FLOAT_EQ(step.pose.z, static_cast<float>(0.22 * std::cos(0.1309)));
    EXPECT_EQ(step.label, 10);
}

TEST(Walker, DiagonalStepsAreAsLongAsStraightOnes) {
    for (auto actions : {std::initializer_list<Action>{Action::forward, Action::right}, {Action::back, Action::left}}) {
        Walker walker(nullptr, kLimits, {.yaw = 0.7f});
        const auto step = walker.step(holding(actions));
        EXPECT_NEAR(std::hypot(step.pose.x, step.pose.z), 0.22, 1e-6);
    }
    Walker walker(nullptr, kLimits, {});
    EXPECT_EQ(walker.step(holding({Action::forward, Action::right})).label, 45);
    EXPECT_EQ(walker.step(holding({Action::forward, Action::back})).label, 0);
}

TEST(Walker, SlidesAlongAWallAndTheLabelSaysSo) {
    const WalkableMap map = map_with_wall();
    // Looking to the right of straight ahead, towards the wall at x = 1.
    Walker walker(&map, kLimits, {.x = 0.95f, .z = 0.5f, .yaw = 0.5f});
    const auto slid = walker.step(holding({Action::forward}));
    EXPECT_FLOAT_EQ(slid.pose.x, 0.95f);
    EXPECT_NEAR(slid.pose.z, 0.5 + 0.22 * std::cos(0.5), 1e-6);
    EXPECT_EQ(slid.label, 9);
    // Straight at the wall: nothing moves, and the label is none.
    Walker blocked(&map, kLimits, {.x = 0.95f, .z = 0.5f, .yaw = static_cast<float>(std::acos(0.0))});
    const auto stopped = blocked.step(holding({Action::forward}));
    EXPECT_FLOAT_EQ(stopped.pose.x, 0.95f);
    EXPECT_EQ(stopped.label, 0);
}

TEST(Walker, TestsTheWayAndNotOnlyItsEnd) {
    const WalkableMap map = map_with_wall();
    WalkerLimits giant = kLimits;
    giant.move_per_latent = 2;
    Walker walker(&map, giant, {.x = 0.5f, .yaw = static_cast<float>(std::acos(0.0))});
    EXPECT_FLOAT_EQ(walker.step(holding({Action::forward})).pose.x, 0.5f);
}

TEST(Walker, WalksOverTheBorderOfTheTorusWithoutAJump) {
    const WalkableMap map = map_with_wall();
    Walker walker(&map, kLimits, {.x = 5, .z = 7.9f});
    float z = 7.9f;
    for (int i = 0; i < 100; ++i) {
        const auto step = walker.step(holding({Action::forward}));
        EXPECT_NEAR(step.pose.z - z, 0.22f, 1e-5);
        EXPECT_EQ(step.label, 9);
        z = step.pose.z;
    }
    EXPECT_GT(z, 29);
}

TEST(Walker, MovesByAnyAmountsWithTheSameWalls) {
    Walker walker(nullptr, kLimits, {});
    const auto step = walker.move({.forward = 0.1, .right = -0.05, .yaw = 0.3, .pitch = 9});
    EXPECT_FLOAT_EQ(step.pose.x, static_cast<float>(0.1 * std::sin(0.3) - 0.05 * std::cos(0.3)));
    EXPECT_FLOAT_EQ(step.pose.z, static_cast<float>(0.1 * std::cos(0.3) + 0.05 * std::sin(0.3)));
    EXPECT_FLOAT_EQ(step.pose.yaw, 0.3f);
    EXPECT_FLOAT_EQ(step.pose.pitch, 0.35f);
    const WalkableMap map = map_with_wall();
    Walker blocked(&map, kLimits, {.x = 0.95f, .z = 0.5f, .yaw = static_cast<float>(std::acos(0.0))});
    EXPECT_FLOAT_EQ(blocked.move({.forward = 0.2}).pose.x, 0.95f);
}

TEST(Walker, PitchAndMouseStayWithinTheTrainedRange) {
    Walker walker(nullptr, kLimits, {});
    for (int i = 0; i < 20; ++i) walker.step(holding({Action::pitch_up}));
    EXPECT_FLOAT_EQ(walker.pose().pitch, 0.35f);
    EXPECT_EQ(walker.step(holding({Action::pitch_up})).label, 0) << "at the limit nothing turns any more";
    ControlState flick;
    flick.mouse_yaw_rad = -3;
    flick.mouse_pitch_rad = -3;
    const auto step = walker.step(flick);
    EXPECT_FLOAT_EQ(step.pose.yaw, -0.157f);
    EXPECT_NEAR(step.pose.pitch, 0.35 - 0.11, 1e-6);
    EXPECT_EQ(step.label, 8);
}

ControlState mouse(float yaw, float pitch) {
    ControlState state;
    state.mouse_yaw_rad = yaw;
    state.mouse_pitch_rad = pitch;
    return state;
}

TEST(Walker, MouseTravelBeyondALatentsLimitIsCarriedOver) {
    Walker walker(nullptr, kLimits, {});
    EXPECT_FLOAT_EQ(walker.step(mouse(0.4f, 0.15f)).pose.yaw, 0.157f);
    EXPECT_NEAR(walker.pose().pitch, 0.11, 1e-6);
    walker.step({});
    EXPECT_NEAR(walker.pose().yaw, 0.314, 1e-6);
    EXPECT_NEAR(walker.pose().pitch, 0.15, 1e-6);
    walker.step({});
    EXPECT_NEAR(walker.pose().yaw, 0.4, 1e-6);
    const auto step = walker.step({});
    EXPECT_NEAR(step.pose.yaw, 0.4, 1e-6);
    EXPECT_EQ(step.label, 0);
}

TEST(Walker, AWildFlickEndsWithinASecond) {
    Walker walker(nullptr, kLimits, {});
    walker.step(mouse(30, 0));
    for (int i = 0; i < kCarryLatents; ++i) EXPECT_EQ(walker.step({}).label, 1) << i;
    EXPECT_EQ(walker.step({}).label, 0);
    EXPECT_NEAR(walker.pose().yaw, 0.157 * (1 + kCarryLatents), 1e-6);
}

TEST(Walker, TheHandThatTurnsBackTakesTheRestBack) {
    Walker walker(nullptr, kLimits, {});
    walker.step(mouse(0.3f, 0));
    walker.step(mouse(-0.3f, 0));
    EXPECT_NEAR(walker.pose().yaw, 0, 1e-6);
    EXPECT_EQ(walker.step({}).label, 0);
}

TEST(Walker, KeysLeaveNoRestAndMouseTravelWaitsForThem) {
    WalkerLimits limits = kLimits;
    limits.yaw_per_latent = 0.2; // a key alone goes beyond the limit
    Walker keys(nullptr, limits, {});
    keys.step(holding({Action::yaw_right}));
    EXPECT_EQ(keys.step({}).label, 0);
    Walker both(nullptr, kLimits, {});
    ControlState state = holding({Action::yaw_right});
    state.mouse_yaw_rad = 0.1f;
    both.step(state); // 0.1309 + 0.1: 0.0739 wait
    EXPECT_FLOAT_EQ(both.pose().yaw, 0.157f);
    both.step({});
    EXPECT_NEAR(both.pose().yaw, 0.2309, 1e-6);
}

TEST(Walker, PitchTravelBeyondTheLimitIsForgotten) {
    Walker walker(nullptr, kLimits, {.pitch = 0.34f});
    walker.step(mouse(0, 1));
    walker.step(mouse(0, -0.05f));
    EXPECT_NEAR(walker.pose().pitch, 0.30, 1e-6);
}

TEST(Walker, YawStaysSmallHoweverLongOneTurns) {
    Walker walker(nullptr, kLimits, {});
    for (int i = 0; i < 1000; ++i) {
        const auto step = walker.step(holding({Action::yaw_left}));
        EXPECT_LE(std::abs(step.pose.yaw), 3.1416f);
        EXPECT_EQ(step.label, 2);
    }
}

TEST(Walker, NeverEntersAWallOfTheEmbeddedWorlds) {
    std::ifstream file(WANDER_SOURCE_DIR "/assets/world/world.json");
    const auto world = nlohmann::json::parse(file);
    for (const auto& start : world.at("starts")) {
        SCOPED_TRACE(start.at("name").get<std::string>());
        const auto rows =
            world.at("walkable").at("rows").at(start.at("world").get<std::size_t>()).get<std::vector<std::string>>();
        const auto map = WalkableMap::from_hex(rows, kCells, kPeriod);
        ASSERT_TRUE(map);
        const auto pose = start.at("pose").get<std::vector<float>>();
        Walker walker(&*map, kLimits, {pose[0], pose[1], pose[2], pose[3]});
        ASSERT_TRUE(may_stand(&*map, kLimits, walker.pose()));
        std::mt19937 random(5);
        ControlState state;
        double way = 0;
        for (int i = 0; i < 4000; ++i) {
            if (i % 7 == 0) {
                state = {};
                state.held = static_cast<std::uint16_t>(random() % 256);
                state.set(Action::forward, random() % 4 != 0);
            }
            const Pose before = walker.pose();
            const auto step = walker.step(state);
            ASSERT_TRUE(map->free_at(step.pose.x, step.pose.z)) << i;
            ASSERT_LE(std::hypot(step.pose.x - before.x, step.pose.z - before.z), 0.22 + 1e-5);
            way += std::hypot(step.pose.x - before.x, step.pose.z - before.z);
        }
        EXPECT_GT(way, 100) << "stuck";
    }
}

} // namespace
} // namespace wander
