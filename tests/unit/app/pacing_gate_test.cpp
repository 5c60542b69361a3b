#include "app/pacing_gate.hpp"
#include "app/live_walk.hpp"

#include <gtest/gtest.h>

namespace wander {
namespace {

TEST(PacingGate, NeverWaitsBeforeAChunkWasMeasured) {
    PacingGate gate(16);
    gate.chunk_started(4);
    EXPECT_DOUBLE_EQ(gate.wait_seconds(100), 0);
}

TEST(PacingGate, AFastGeneratorWaitsUntilTheScreenIsNearlyDry) {
    PacingGate gate(16);
    gate.chunk_took(0.1);
    gate.chunk_started(4); // frames 1 to 4: the next chunk's first is frame 5
    gate.frame_shown(1, 100);
    EXPECT_NEAR(gate.wait_seconds(100), 4.0 / 16 - 0.145, 1e-9);
    EXPECT_NEAR(gate.wait_seconds(100.05), 4.0 / 16 - 0.195, 1e-9);
    EXPECT_DOUBLE_EQ(gate.wait_seconds(100.2), 0);
    gate.frame_shown(2, 100.0625); // as reckoned: nothing changes, whenever the caller looks
    EXPECT_NEAR(gate.wait_seconds(100.08), 4.0 / 16 - 0.225, 1e-9);
    gate.frame_shown(1, 101); // late news of an older frame changes nothing
    EXPECT_NEAR(gate.wait_seconds(100.08), 4.0 / 16 - 0.225, 1e-9);
    gate.frame_shown(4, 100.2); // planned later than reckoned: the screen runs dry later
    EXPECT_DOUBLE_EQ(gate.wait_seconds(100.2), 0);
    gate.chunk_started(4);
    EXPECT_NEAR(gate.wait_seconds(100.2), 5.0 / 16 - 0.145, 1e-9);
}

TEST(PacingGate, ASlowGeneratorNeverWaits) {
    PacingGate gate(16);
    gate.chunk_took(0.4);
    gate.frame_shown(0, 100);
    gate.chunk_started(4);
    EXPECT_DOUBLE_EQ(gate.wait_seconds(100), 0);
}

TEST(PacingGate, AScreenThatStandsStillIsWaitedFor) {
    PacingGate gate(16);
    gate.chunk_took(0.1);
    gate.frame_shown(0, 100);
    gate.chunk_started(4);
    gate.chunk_started(4);
    EXPECT_GT(gate.wait_seconds(1000), 0);
    gate.frame_shown(5, 1000);
    EXPECT_GT(gate.wait_seconds(1000), 0);
    EXPECT_DOUBLE_EQ(gate.wait_seconds(1000.2), 0);
}

TEST(PacingGate, TheSlowestOfTheNewestChunksCounts) {
    PacingGate gate(16);
    gate.frame_shown(0, 100);
    gate.chunk_started(4);
    gate.chunk_took(0.1);
    const double fast = gate.wait_seconds(100);
    gate.chunk_took(0.15);
    EXPECT_NEAR(gate.wait_seconds(100), fast - 0.05 * 1.15, 1e-9);
    for (int i = 0; i < 15; ++i) gate.chunk_took(0.1);
    EXPECT_NEAR(gate.wait_seconds(100), fast - 0.05 * 1.15, 1e-9);
    gate.chunk_took(0.1);
    EXPECT_NEAR(gate.wait_seconds(100), fast, 1e-9);
}

TEST(PacingGate, ARestartForgetsTheScreenButNotTheSpeed) {
    PacingGate gate(16);
    gate.chunk_took(0.1);
    gate.chunk_started(4);
    gate.frame_shown(4, 100);
    gate.reset();
    gate.frame_shown(3, 100.5); // of the walk before: this one has only frame 0 so far
    EXPECT_EQ(gate.shown_frame(), -1);
    EXPECT_DOUBLE_EQ(gate.wait_seconds(100.6), 0);
    gate.chunk_started(4);
    gate.frame_shown(0, 101);
    EXPECT_NEAR(gate.wait_seconds(101), 5.0 / 16 - 0.145, 1e-9);
}

TEST(WorkerStates, StoppingIsTheEndAndFailuresCanBeLeft) {
    using enum WorkerState;
    for (WorkerState to : {empty, loading, ready, generating, paused, converting, failed, stopping}) {
        EXPECT_FALSE(may_follow(stopping, to));
    }
    EXPECT_TRUE(may_follow(empty, loading));
    EXPECT_TRUE(may_follow(loading, ready));
    EXPECT_TRUE(may_follow(loading, failed));
    EXPECT_TRUE(may_follow(failed, loading));
    EXPECT_TRUE(may_follow(ready, generating));
    EXPECT_TRUE(may_follow(generating, paused));
    EXPECT_TRUE(may_follow(paused, generating));
    EXPECT_TRUE(may_follow(generating, stopping));
    EXPECT_FALSE(may_follow(empty, generating));
    EXPECT_FALSE(may_follow(loading, generating));
    EXPECT_FALSE(may_follow(paused, empty));
}

} // namespace
} // namespace wander
