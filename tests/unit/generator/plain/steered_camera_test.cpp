// Live steering of HY-WorldPlay: what keys, mouse and sticks do to the cameras of a chunk.

#include "generator/camera/steered_camera.hpp"
#include "generator/camera/control_axes.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace wander {
namespace {

constexpr double kDegree = std::numbers::pi / 180;

ControlState holding(std::initializer_list<Action> actions) {
    ControlState state;
    for (const Action action : actions) state.set(action, true);
    return state;
}

LatentCamera origin() { return cameras_from_moves({}).front(); }

double distance(const Matrix4& a, const Matrix4& b) {
    double worst = 0;
    for (std::size_t i = 0; i < 16; ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
    return worst;
}

TEST(SteeredCamera, OneAxisAtATimeAgreesWithPoseStrings) {
    const std::pair<const char*, Action> runs[] = {{"w-11", Action::forward},     {"s-11", Action::back},
                                                   {"a-11", Action::left},        {"d-11", Action::right},
                                                   {"left-11", Action::yaw_left}, {"right-11", Action::yaw_right},
                                                   {"up-11", Action::pitch_up},   {"down-11", Action::pitch_down}};
    for (const auto& [text, action] : runs) {
        const auto path = cameras_from_pose_string(text);
        ASSERT_TRUE(path);
        SteeredCamera steered(origin());
        for (std::size_t i = 1; i < path->size(); ++i) {
            const LatentCamera camera = steered.step(holding({action}));
            EXPECT_LE(distance(camera.camera_to_world, (*path)[i].camera_to_world), 1e-13) << text << " " << i;
            EXPECT_LE(distance(camera.world_to_camera, (*path)[i].world_to_camera), 1e-13) << text << " " << i;
            EXPECT_EQ(camera.label, (*path)[i].label) << text << " " << i;
        }
    }
}

TEST(SteeredCamera, SeveralKeysAtOnce) {
    SteeredCamera steered(origin());
    const auto chunk = steered.chunk(holding({Action::forward, Action::right, Action::yaw_right, Action::pitch_up}), 4);
    ASSERT_EQ(chunk.size(), 4u);
    for (const LatentCamera& camera : chunk) EXPECT_EQ(camera.label, 9 * 5 + 5);
    EXPECT_EQ(SteeredCamera(origin()).step(holding({Action::forward, Action::yaw_right})).label, 10);
    EXPECT_EQ(
        SteeredCamera(origin()).step(holding({Action::back, Action::left, Action::yaw_left, Action::pitch_up})).label,
        79);
    const Matrix4& first = chunk.front().camera_to_world;
    EXPECT_NEAR(std::hypot(first[3], first[7], first[11]), kLatentMove * std::sqrt(2), 1e-12);
}

TEST(SteeredCamera, TheHorizonStaysLevelAndTheViewWithinItsLimit) {
    SteeredCamera steered(origin());
    for (int i = 0; i < 40; ++i) {
        const LatentCamera camera = steered.step(holding({Action::yaw_right, Action::pitch_up, Action::forward}));
        EXPECT_NEAR(camera.camera_to_world[4], 0, 1e-12) << "the x axis has no height";
        const double pitch = std::asin(-camera.camera_to_world[6]);
        EXPECT_NEAR(pitch, std::min((i + 1) * 3.0, 85.0) * kDegree, 1e-9);
        EXPECT_EQ(camera.label % 9, (i + 1) * 3 <= 85 || i == 28 ? 5 : 1) << i;
    }
}

TEST(SteeredCamera, OnTheGroundAMoveKeepsItsHeight) {
    SteeredCamera flying(origin());
    SteeredCamera walking(origin(), {.on_ground = true});
    for (int i = 0; i < 15; ++i) {
        flying.step(holding({Action::pitch_down}));
        walking.step(holding({Action::pitch_down}));
    }
    const LatentCamera flown = flying.step(holding({Action::forward}));
    const LatentCamera walked = walking.step(holding({Action::forward}));
    EXPECT_NEAR(flown.camera_to_world[7], kLatentMove * std::sin(45 * kDegree), 1e-12);
    EXPECT_NEAR(walked.camera_to_world[7], 0, 1e-12);
    EXPECT_NEAR(walked.camera_to_world[11], kLatentMove, 1e-12);
    EXPECT_EQ(flown.label, 9);
    EXPECT_EQ(walked.label, 9) << "forward up to 60 degrees of pitch";
}

TEST(SteeredCamera, MouseTravelIsSharedByTheChunkAndBounded) {
    SteeredCamera steered(origin());
    ControlState state;
    state.mouse_yaw_rad = static_cast<float>(8 * kDegree);
    state.mouse_pitch_rad = static_cast<float>(-4 * kDegree);
    const auto chunk = steered.chunk(state, 4);
    for (std::size_t i = 0; i < 4; ++i) {
        const Matrix4& m = chunk[i].camera_to_world;
        EXPECT_NEAR(std::atan2(m[2], m[10]), 2.0 * static_cast<double>(i + 1) * kDegree, 1e-7);
        EXPECT_NEAR(std::asin(-m[6]), -1.0 * static_cast<double>(i + 1) * kDegree, 1e-7);
        EXPECT_EQ(chunk[i].label, 6);
    }
    SteeredCamera flicked(origin());
    state = {};
    state.mouse_yaw_rad = 3;
    double before = 0;
    for (const LatentCamera& camera : flicked.chunk(state, 4)) {
        const double yaw = std::atan2(camera.camera_to_world[2], camera.camera_to_world[10]);
        EXPECT_NEAR(yaw - before, 5 * kDegree, 1e-9);
        before = yaw;
    }
    int still_turning = 0;
    while (flicked.step({}).label == 1) ++still_turning;
    EXPECT_EQ(still_turning, kCarryLatents) << "a flick ends soon after the hand has stopped";
}

TEST(SteeredCamera, SticksAreKeysWithStepsBetween) {
    ControlState state;
    state.sticks = {.forward = 0.5F, .yaw = -0.25F};
    SteeredCamera steered(origin());
    const LatentCamera camera = steered.step(state);
    EXPECT_NEAR(std::atan2(camera.camera_to_world[2], camera.camera_to_world[10]), -0.75 * kDegree, 1e-9);
    EXPECT_NEAR(std::hypot(camera.camera_to_world[3], camera.camera_to_world[11]), kLatentMove / 2, 1e-9);
    EXPECT_EQ(camera.label, 9 + 2);
    state.set(Action::forward, true);
    EXPECT_EQ(axes_of(state).forward, 1) << "a key and a stick are no faster than a key";
    state.set(Action::back, true);
    EXPECT_EQ(axes_of(state).forward, 0.5);
    EXPECT_EQ(whole_actions(state), state.held) << "half way is not more than half way";
    state.held = 0;
    state.sticks = {.forward = -0.6F, .pitch = 0.9F};
    ControlState keys;
    keys.set(Action::back, true);
    keys.set(Action::pitch_up, true);
    EXPECT_EQ(whole_actions(state), keys.held);
}

TEST(SteeredCamera, GoesOnFromATiltedPathWithoutAJump) {
    const auto path = cameras_from_pose_string("up-8,right-12,w-3");
    ASSERT_TRUE(path);
    SteeredCamera steered(path->back());
    const LatentCamera still = steered.step({});
    EXPECT_LE(distance(still.camera_to_world, path->back().camera_to_world), 0.06) << "at most a key's turn";
    for (int i = 0; i < 20; ++i) steered.step({});
    const Matrix4& level = steered.camera().camera_to_world;
    const Matrix4& tilted = path->back().camera_to_world;
    EXPECT_NEAR(level[4], 0, 1e-12);
    EXPECT_GT(std::abs(tilted[4]), 0.1);
    for (const std::size_t i : {2u, 3u, 6u, 7u, 10u, 11u}) EXPECT_NEAR(level[i], tilted[i], 1e-12) << "view and place";
    EXPECT_EQ(steered.camera().label, 0);
}

TEST(SteeredCamera, NothingHeldIsNoMove) {
    SteeredCamera steered(origin());
    for (const LatentCamera& camera : steered.chunk({}, 3)) EXPECT_EQ(camera.label, 0);
    EXPECT_EQ(steered.step(holding({Action::up})).label, 0) << "these models do not fly";
}

} // namespace
} // namespace wander
