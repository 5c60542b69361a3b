// Of how many layers rows are kept, by what is free, and in how much memory each.
#include "quant/cache/kept_rows.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>

namespace wander::test {
namespace {

constexpr std::int64_t kLeave = 1200;
constexpr std::int64_t kLayer = 100;

int kept(int held, std::int64_t driver_free, std::int64_t unused) {
    return quant::layers_with_room(30, held, kLayer, {driver_free, unused, kLeave});
}

TEST(KeptRowsRoom, WhatIsBeyondTheLeaveIsTaken) {
    EXPECT_EQ(kept(0, 1200, 0), 0);
    EXPECT_EQ(kept(0, 1299, 0), 0);
    EXPECT_EQ(kept(0, 1300, 0), 1);
    EXPECT_EQ(kept(0, 2650, 0), 14);
    EXPECT_EQ(kept(5, 2650, 0), 19);
    EXPECT_EQ(kept(0, 90000, 0), 30) << "there are no more layers";
    EXPECT_EQ(kept(30, 90000, 0), 30);
}

TEST(KeptRowsRoom, TheAllocatorsOwnCountsButTheDriverKeepsAQuarter) {
    EXPECT_EQ(kept(0, 800, 900), 5);
    EXPECT_EQ(kept(0, 500, 9000), 2) << "300 of them stay with the driver";
    EXPECT_EQ(kept(0, 300, 9000), 0);
    EXPECT_EQ(kept(3, 200, 9000), 3) << "nor is a little less a reason to give way";
}

TEST(KeptRowsRoom, TheyGiveWayWhenClearlyLessIsLeft) {
    EXPECT_EQ(kept(20, 1200, 0), 20);
    EXPECT_EQ(kept(20, 700, 0), 20);
    EXPECT_EQ(kept(20, 600, 0), 20);
    EXPECT_EQ(kept(20, 599, 0), 13) << "601 are lacking";
    EXPECT_EQ(kept(20, 149, 2000), 18) << "151 of the driver's are";
    EXPECT_EQ(kept(20, 0, 0), 8);
    EXPECT_EQ(kept(5, 0, 0), 0);
}

// What was given or taken once is not taken or given at the next look, where nobody else did anything.
TEST(KeptRowsRoom, TheSecondLookChangesNothing) {
    for (std::int64_t free = 0; free < 6000; free += 37) {
        for (int held = 0; held <= 30; held += 5) {
            const int once = kept(held, free, 0);
            EXPECT_EQ(kept(once, free + (held - once) * kLayer, 0), once) << free << ", " << held;
        }
    }
}

TEST(KeptRowsRoom, WithNothingToLeaveAllOfItIsTaken) {
    EXPECT_EQ(quant::layers_with_room(3, 0, kLayer, {250, 0, 0}), 2);
    EXPECT_EQ(quant::layers_with_room(3, 3, kLayer, {0, 0, 0}), 3);
    EXPECT_EQ(quant::layers_with_room(3, 0, kLayer, {std::int64_t{1} << 40, 0, std::int64_t{1} << 50}), 0);
}

constexpr std::int64_t kMiB = std::int64_t{1} << 20;

TEST(KeptRowsRoom, ALayerTakesWholeDriverPages) {
    EXPECT_EQ(quant::memory_of_layer(0, 1), 2 * kMiB);
    EXPECT_EQ(quant::memory_of_layer(0, 590 * kMiB), 590 * kMiB);
    EXPECT_EQ(quant::memory_of_layer(0, 590 * kMiB + 1), 592 * kMiB);
}

TEST(KeptRowsRoom, WhatIsLargeEnoughStays) {
    EXPECT_EQ(quant::memory_of_layer(592 * kMiB, 592 * kMiB), 592 * kMiB);
    EXPECT_EQ(quant::memory_of_layer(592 * kMiB, 1), 592 * kMiB);
    EXPECT_EQ(quant::memory_of_layer(592 * kMiB, 0), 592 * kMiB);
}

// A context without a bound: it is taken anew at few of its chunks, and little of it is unused.
TEST(KeptRowsRoom, WhatIsTooSmallGrowsByAnEighthAtLeast) {
    EXPECT_EQ(quant::memory_of_layer(160 * kMiB, 161 * kMiB), 180 * kMiB);
    EXPECT_EQ(quant::memory_of_layer(160 * kMiB, 200 * kMiB), 200 * kMiB);
    const std::int64_t latent = 23 * kMiB + 12345;
    std::int64_t held = 0;
    int taken = 0;
    for (std::int64_t latents = 8; latents <= 400; latents += 4) {
        const std::int64_t before = held;
        held = quant::memory_of_layer(held, latents * latent);
        taken += held != before ? 1 : 0;
        ASSERT_GE(held, latents * latent);
        ASSERT_LE(held, std::max(before, latents * latent * 9 / 8 + 2 * kMiB)) << latents << " latents";
        ASSERT_EQ(held % (2 * kMiB), 0);
    }
    EXPECT_LE(taken, 32) << "of 99 chunks";
}

} // namespace
} // namespace wander::test
