// Slots of slabs, on the CPU: who gets which memory, what is left over, when a slab goes back.

#include "quant/cache/page_slabs.hpp"

#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <vector>

namespace wander::quant {
namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;

TEST(PageSlabs, PagesShareASlabUntilItIsFull) {
    PageSlabs slabs(at::kCPU);
    std::vector<at::Tensor> pages;
    for (int i = 0; i < 16; ++i) pages.push_back(slabs.take(2 * kMiB)); // 32 MiB
    EXPECT_EQ(slabs.slabs(), 1U);
    EXPECT_EQ(slabs.slack_bytes(), 0);
    pages.push_back(slabs.take(2 * kMiB));
    EXPECT_EQ(slabs.slabs(), 2U);
    EXPECT_EQ(slabs.slack_bytes(), 30 * kMiB);
}

TEST(PageSlabs, ASlabHasBetweenFourAndSixtyFourPages) {
    PageSlabs slabs(at::kCPU);
    const at::Tensor large = slabs.take(20 * kMiB), small = slabs.take(1000);
    EXPECT_EQ(slabs.slack_bytes(), 3 * 20 * kMiB + 64 * 1024 - 1000);
}

TEST(PageSlabs, SizesDoNotShareAndUnevenOnesAreAligned) {
    PageSlabs slabs(at::kCPU);
    const at::Tensor a = slabs.take(1000), b = slabs.take(1000), c = slabs.take(5000);
    EXPECT_EQ(slabs.slabs(), 2U);
    EXPECT_EQ(b.data_ptr<std::uint8_t>() - a.data_ptr<std::uint8_t>(), 1024);
    EXPECT_EQ(c.numel(), 5000);
}

TEST(PageSlabs, AFreeSlotIsTakenAgainAndAnEmptySlabGoesBack) {
    PageSlabs slabs(at::kCPU);
    at::Tensor a = slabs.take(kMiB), b = slabs.take(kMiB);
    const void* place = a.data_ptr();
    EXPECT_TRUE(slabs.give_back(a));
    EXPECT_FALSE(a.defined());
    at::Tensor c = slabs.take(kMiB);
    EXPECT_EQ(c.data_ptr(), place);
    EXPECT_TRUE(slabs.give_back(c));
    EXPECT_EQ(slabs.slabs(), 1U);
    EXPECT_TRUE(slabs.give_back(b));
    EXPECT_EQ(slabs.slabs(), 0U);
    EXPECT_EQ(slabs.slack_bytes(), 0);
}

TEST(PageSlabs, APageFromElsewhereIsLeftAlone) {
    PageSlabs slabs(at::kCPU);
    const at::Tensor own = slabs.take(512);
    at::Tensor other = at::empty({512}, at::kByte);
    EXPECT_FALSE(slabs.give_back(other));
    EXPECT_TRUE(other.defined());
}

// A window that moves on: the oldest pages leave as new ones come. No two pages overlap, and there are never two slabs
// more than the pages need.
TEST(PageSlabs, AMovingWindowNeedsHardlyMoreThanItsPages) {
    PageSlabs slabs(at::kCPU);
    std::mt19937 random(7);
    std::vector<at::Tensor> window;
    std::uint8_t mark = 0;
    std::vector<std::uint8_t> marks;
    for (int step = 0; step < 600; ++step) {
        window.push_back(slabs.take(3 * kMiB));
        window.back()[0] = ++mark;
        window.back()[-1] = mark;
        marks.push_back(mark);
        while (window.size() > 40 + random() % 8) {
            EXPECT_EQ(window.front()[0].item<int>(), marks.front());
            EXPECT_EQ(window.front()[-1].item<int>(), marks.front());
            EXPECT_TRUE(slabs.give_back(window.front()));
            window.erase(window.begin());
            marks.erase(marks.begin());
        }
        EXPECT_LE(slabs.slabs(), (window.size() + 10) / 11 + 2);
        EXPECT_EQ(slabs.slack_bytes(), static_cast<std::int64_t>(slabs.slabs() * 11 - window.size()) * 3 * kMiB);
    }
}

} // namespace
} // namespace wander::quant
