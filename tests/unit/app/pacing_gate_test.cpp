#include "app/pacing_gate.hpp"
#include "app/live_walk.hpp"

#include <gtest/gtest.h>

namespace wander {
namespace {

TEST(PacingGate, NeverWaitsBeforeAChunkWasMeasured) {
    PacingGate gate(16);
    gate.chunk_started(4);
    EXPECT_DOUBLE_EQ(gate.wait_seconds(), 0);
    EXPECT_DOUBLE_EQ(gate.playing_seconds(), 5.0 / 16);
}

TEST(PacingGate, AFastGeneratorWaitsUntilTheScreenIsNearlyDry) {
    PacingGate gate(16);
    gate.chunk_took(0.1);
    gate.chunk_started(16);
    const double wait = gate.wait_seconds();
    EXPECT_NEAR(wait, 17.0 / 16 - 0.145, 1e-9);
    gate.frame_shown(7);
    EXPECT_NEAR(gate.wait_seconds(), wait - 0.5, 1e-9);
    gate.frame_shown(3); // late news of an older frame changes nothing
    EXPECT_NEAR(gate.wait_seconds(), wait - 0.5, 1e-9);
}

TEST(PacingGate, ASlowGeneratorNeverWaits) {
    PacingGate gate(16);
    gate.chunk_took(0.4);
    gate.chunk_started(4);
    EXPECT_DOUBLE_EQ(gate.wait_seconds(), 0);
}

TEST(PacingGate, TheEstimateRisesAtOnceAndFallsSlowly) {
    PacingGate gate(16);
    gate.chunk_started(16);
    gate.chunk_took(0.1);
    const double fast = gate.wait_seconds();
    gate.chunk_took(0.3);
    EXPECT_NEAR(gate.wait_seconds(), fast - 0.2 * 1.15, 1e-9);
    gate.chunk_took(0.1);
    EXPECT_NEAR(gate.wait_seconds(), fast - 0.18 * 1.15, 1e-9);
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
