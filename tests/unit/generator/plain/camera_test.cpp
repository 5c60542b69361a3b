// Action labels (values checked against the reference implementation), camera matrices, pose strings.

#include "generator/camera/actions.hpp"
#include "generator/camera/pose_string.hpp"
#include "generator/camera/prope.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace wander {
namespace {

constexpr double kStep = 0.08;
constexpr double kTurn = 3 * 3.14159265358979 / 180;

// One step of HY-WorldPlay: turn, then move in the camera's new axes.
int label_of(double forward, double right, double yaw, double pitch, double start_pitch = 0) {
    const Matrix4 before = camera_to_world(0.3, -0.2, 0.4, start_pitch);
    Matrix4 after = camera_to_world(0, 0, 0.4 + yaw, start_pitch + pitch);
    const Matrix4 moved = multiply(after, {1, 0, 0, right * kStep, 0, 1, 0, 0, 0, 0, 1, forward * kStep, 0, 0, 0, 1});
    after[3] = before[3] + moved[3];
    after[7] = moved[7];
    after[11] = before[11] + moved[11];
    return action_label(before, after);
}

TEST(ActionLabel, AgreesWithTheCheckedValues) {
    EXPECT_EQ(label_of(0, 0, 0, 0), 0);
    EXPECT_EQ(label_of(1, 0, 0, 0), 9);
    EXPECT_EQ(label_of(-1, 0, 0, 0), 18);
    EXPECT_EQ(label_of(0, 1, 0, 0), 27);
    EXPECT_EQ(label_of(0, -1, 0, 0), 36);
    EXPECT_EQ(label_of(0, 0, kTurn, 0), 1);
    EXPECT_EQ(label_of(0, 0, -kTurn, 0), 2);
    EXPECT_EQ(label_of(0, 0, 0, kTurn), 3);
    EXPECT_EQ(label_of(0, 0, 0, -kTurn), 4);
    EXPECT_EQ(label_of(1, 0, kTurn, 0), 10);
    EXPECT_EQ(label_of(1, 1, 0, 0), 45);
    EXPECT_EQ(label_of(-1, -1, -kTurn, kTurn), 79);
}

TEST(ActionLabel, SeesPureYawWhateverThePitch) {
    for (double degrees : {15.0, 45.0, 70.0, 85.0}) {
        EXPECT_EQ(label_of(0, 0, kTurn, 0, degrees / 180 * 3.14159265358979), 1) << degrees;
    }
}

TEST(ActionLabel, IgnoresTinyStepsAndTheBorderOfTheTorus) {
    EXPECT_EQ(action_label(Pose{}, Pose{.z = 5e-4f}, 1e-3), 0);
    EXPECT_EQ(action_label(Pose{}, Pose{.z = 5e-4f}, 1e-4), 9);
    EXPECT_EQ(action_label(Pose{.yaw = 3.1f}, Pose{.yaw = -3.1f}), 1) << "a turn over pi stays a turn to the right";
}

TEST(Actions, NamesGoBothWays) {
    for (int i = 0; i < kActionCount; ++i) {
        const auto action = action_from_name(kActionNames[static_cast<std::size_t>(i)]);
        ASSERT_TRUE(action);
        EXPECT_EQ(static_cast<int>(*action), i);
    }
    EXPECT_FALSE(action_from_name("jump"));
    ControlState state;
    state.set(Action::yaw_left, true);
    state.set(Action::forward, true);
    EXPECT_EQ(held_names(state), (std::vector<std::string>{"forward", "yaw_left"}));
}

TEST(Prope, ProjectionTimesInverseIsOne) {
    const CameraModel camera{.focal_x = 0.6, .focal_y = 0.6 * 192 / 112, .period = 16, .translation_scale = 0.3};
    const Pose pose{.x = 3.2f, .z = -7.5f, .yaw = 2.1f, .pitch = -0.3f};
    const Pose anchor{.x = 40, .z = 7.9f};
    const Matrix4 product = multiply(prope_projection(pose, anchor, camera), prope_inverse(pose, anchor, camera));
    for (std::size_t i = 0; i < 16; ++i) EXPECT_NEAR(product[i], i % 5 == 0 ? 1 : 0, 1e-12);
}

TEST(Prope, TakesTheNearestCopyOnTheTorus) {
    const CameraModel camera{.period = 16, .translation_scale = 0.3};
    const Pose pose{.x = 7.9f, .z = 1, .yaw = 0.5f};
    const Pose here{.x = 8.1f, .z = 1};
    const Pose round_the_world{.x = 8.1f - 32, .z = 1 + 16};
    const Matrix4 a = prope_inverse(pose, here, camera);
    const Matrix4 b = prope_inverse(pose, round_the_world, camera);
    EXPECT_NEAR(a[3], -0.2 * 0.3, 1e-6);
    for (std::size_t i = 0; i < 16; ++i) EXPECT_NEAR(a[i], b[i], 1e-6);
    const Matrix4 flat = prope_inverse(pose, round_the_world, {.period = 0, .translation_scale = 1});
    EXPECT_NEAR(flat[3], 7.9 - (8.1 - 32), 1e-5);
}

TEST(PoseString, ReadsActionsAndCounts) {
    const auto steps = parse_pose_string("w-2, right-1,,a-1.9 ,up-1e0,d-0");
    ASSERT_TRUE(steps) << steps.error().message;
    EXPECT_EQ(*steps, (std::vector<Action>{Action::forward, Action::forward, Action::yaw_right, Action::left,
                                           Action::pitch_up}));
    const auto many = parse_pose_string("w-31");
    ASSERT_TRUE(many);
    EXPECT_EQ(many->size(), 31u);
    const auto ten = parse_pose_string("s-1e1");
    ASSERT_TRUE(ten);
    EXPECT_EQ(ten->size(), 10u);
    const auto all = parse_pose_string("w-1,s-1,a-1,d-1,up-1,down-1,left-1,right-1");
    ASSERT_TRUE(all);
    EXPECT_EQ(*all, (std::vector<Action>{Action::forward, Action::back, Action::left, Action::right, Action::pitch_up,
                                         Action::pitch_down, Action::yaw_left, Action::yaw_right}));
}

TEST(PoseString, RefusesEverythingElse) {
    for (const char* text : {"", " , ", "w", "w8", "w--8", "w-8-2", "w-", "-8", "W-8", "forward-8", "w-x", "w-8s",
                             "w-1e-1", "w-nan", "w-inf", "w-1e99", "w-999999999", "w-8;s-8", "w 8"}) {
        const auto steps = parse_pose_string(text);
        ASSERT_FALSE(steps) << text;
        EXPECT_EQ(steps.error().code, ErrorCode::wrong_use);
        EXPECT_NE(steps.error().message.find("pose string"), std::string::npos);
    }
}

} // namespace
} // namespace wander
