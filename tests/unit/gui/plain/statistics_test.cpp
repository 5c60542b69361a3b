#include "gui/plain/statistics.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace wander::gui {
namespace {

// The definition, by sorting.
double percentile_twin(std::vector<double> values, double p) {
    std::ranges::sort(values);
    const double rank = p / 100 * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(rank);
    const std::size_t above = std::min(below + 1, values.size() - 1);
    return values[below] + (values[above] - values[below]) * (rank - static_cast<double>(below));
}

ChunkTelemetry chunk(double total, double period) {
    ChunkTelemetry c;
    c.ms.total = total;
    c.ms.period = period;
    c.pages.resize(3);
    return c;
}

TEST(Statistics, PercentileOfKnownNumbers) {
    EXPECT_EQ(percentile({}, 50), 0);
    EXPECT_EQ(percentile({7}, 99), 7);
    EXPECT_DOUBLE_EQ(percentile({4, 1, 3, 2}, 50), 2.5);
    EXPECT_DOUBLE_EQ(percentile({4, 1, 3, 2}, 0), 1);
    EXPECT_DOUBLE_EQ(percentile({4, 1, 3, 2}, 100), 4);
    std::vector<double> hundred(101);
    std::iota(hundred.begin(), hundred.end(), 0.0);
    EXPECT_DOUBLE_EQ(percentile(hundred, 99), 99);
}

TEST(Statistics, PercentileEqualsItsDefinition) {
    std::mt19937 random(5);
    std::uniform_real_distribution<double> draw(0, 500);
    for (int n = 1; n < 60; ++n) {
        std::vector<double> values(static_cast<std::size_t>(n));
        std::ranges::generate(values, [&] { return draw(random); });
        for (const double p : {0.0, 12.5, 50.0, 90.0, 99.0, 100.0}) {
            EXPECT_NEAR(percentile(values, p), percentile_twin(values, p), 1e-9) << n << " values, p" << p;
        }
    }
}

TEST(Statistics, StackAddsUpToTheStagesWithoutCountingTheirPartsTwice) {
    StageMs ms;
    ms.denoise = 60;
    ms.context = 30;
    ms.encode = 6;
    ms.expand = 9;
    ms.decode = 40;
    const auto stack = stacked_ms(ms);
    EXPECT_DOUBLE_EQ(std::accumulate(stack.begin(), stack.end(), 0.0), 60 + 30 + 40);
    EXPECT_DOUBLE_EQ(stack[0], 50);
    EXPECT_DOUBLE_EQ(stack[1], 25);
    EXPECT_DOUBLE_EQ(stack[2], 6);
    EXPECT_DOUBLE_EQ(stack[3], 9);
    const auto nothing = stacked_ms(StageMs{});
    EXPECT_EQ(std::accumulate(nothing.begin(), nothing.end(), 0.0), 0);
}

TEST(Statistics, SummariesOfAHistory) {
    ChunkHistory history;
    EXPECT_EQ(summarize_total(history).p50, 0);
    history.add(chunk(100, 0)); // the first chunk has no period
    history.add(chunk(140, 120));
    history.add(chunk(120, 130));
    EXPECT_DOUBLE_EQ(summarize_total(history).newest, 120);
    EXPECT_DOUBLE_EQ(summarize_total(history).p50, 120);
    EXPECT_DOUBLE_EQ(summarize_period(history).p50, 125);
    EXPECT_DOUBLE_EQ(summarize_period(history).newest, 130);
}

TEST(Statistics, HistoryIsBoundedAndKeepsPagesOfTheNewestOnly) {
    ChunkHistory history;
    for (std::size_t i = 0; i < kHistoryChunks + 10; ++i) {
        history.add(chunk(static_cast<double>(i), 1));
    }
    EXPECT_EQ(history.size(), kHistoryChunks);
    EXPECT_EQ(history.chunks().front().ms.total, 10);
    EXPECT_TRUE(history.chunks().front().pages.empty());
    EXPECT_EQ(history.newest().pages.size(), 3u);
}

} // namespace
} // namespace wander::gui
