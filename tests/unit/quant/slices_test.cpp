// How a layer's rows are cut into slices.
#include "quant/cache/slices.hpp"

#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

namespace wander::test {
namespace {

using namespace quant;

constexpr int kTokens = 10;

class Slices : public testing::Test {
protected:
    Slices()
        : codec_({.layers = 1, .heads = 2, .head_dim = 16, .tokens_per_latent = kTokens, .page_latents = 3}, {},
                 at::kFloat) {
        for (int n = 0; n < 3; ++n) {
            auto group = std::make_unique<PageGroup>();
            group->first_latent = n * 3;
            group->capacity = 3;
            group->held = 3;
            group->keys.resize(1);
            group->values.resize(1);
            for (Page* page : {&group->keys[0], &group->values[0]}) {
                page->format = FormatRegistry::instance().find("bf16");
            }
            groups_.push_back(std::move(group));
        }
        // The first latent of the oldest page is out of the window.
        segments_ = {{groups_[0].get(), 1, 2, 0}, {groups_[1].get(), 0, 3, 2}, {groups_[2].get(), 0, 3, 5}};
    }

    std::vector<Slice> cut(int max_rows, bool corrected = false) {
        return cut_slices({kTokens, max_rows, kAllSlices, corrected}, codec_, 0, segments_, 2 * kTokens, 8);
    }

    PageCodec codec_;
    std::vector<std::unique_ptr<PageGroup>> groups_;
    std::vector<HistorySegment> segments_;
};

TEST_F(Slices, EveryRowOnceInOrder) {
    for (const int max_rows : {7, 32, 100, 1000}) {
        int row = 0; // counted over the visible history and the chunk
        const std::vector<Slice> slices = cut(max_rows);
        for (const Slice& slice : slices) {
            int held = 0;
            for (const quant::Run& run : slice.runs) {
                // Table rows begin at the first latent of the page, so the place of a row in the tables is its place
                // here.
                EXPECT_EQ(run.table_latent * kTokens + run.first_token, row);
                EXPECT_EQ(run.first_row, run.first_token);
                held += run.rows;
                row += run.rows;
            }
            EXPECT_EQ(held, slice.rows);
            EXPECT_LE(slice.rows, max_rows);
            EXPECT_TRUE(slice.rows == max_rows || &slice == &slices.back());
        }
        EXPECT_EQ(row, (8 + 2) * kTokens) << max_rows;
    }
}

TEST_F(Slices, TextStandsInFrontOfTheFirst) {
    for (const int max_rows : {7, 32, 100, 1000}) {
        const std::vector<Slice> without = cut(max_rows);
        const std::vector<Slice> slices =
            cut_slices({kTokens, max_rows, kAllSlices, false, 45}, codec_, 0, segments_, 2 * kTokens, 8);
        ASSERT_EQ(slices.size(), without.size());
        EXPECT_EQ(slices[0].rows, without[0].rows + 45);
        EXPECT_TRUE(slices[0].runs[0].text);
        EXPECT_EQ(slices[0].runs[0].rows, 45);
        EXPECT_EQ(slices[0].runs[0].group, nullptr);
        for (std::size_t i = 1; i < slices.size(); ++i) EXPECT_EQ(slices[i].rows, without[i].rows);
        for (std::size_t i = 1; i < slices[0].runs.size(); ++i) EXPECT_FALSE(slices[0].runs[i].text);
    }
}

TEST_F(Slices, PagesWithKnownNoiseStandAlone) {
    groups_[1]->keys[0].noise = at::ones({2, 1});
    EXPECT_EQ(cut(1000).size(), 1U);
    const std::vector<Slice> slices = cut(1000, true);
    ASSERT_EQ(slices.size(), 3U); // before it, it, behind it and the chunk
    EXPECT_EQ(slices[1].noise, &groups_[1]->keys[0].noise);
    EXPECT_EQ(slices[1].rows, 3 * kTokens);
    EXPECT_EQ(slices[2].noise, nullptr);
    EXPECT_EQ(slices[2].runs.size(), 2U);
}

TEST(SliceLengths, AreWholeLatentsWhereOneFits) {
    const auto lengths = [](bool any, std::int64_t latents, int tokens, std::int64_t fitting) {
        const SliceLengths found = slice_lengths(any, latents, tokens, fitting);
        return std::make_pair(found.rows, found.long_slices);
    };
    EXPECT_EQ(lengths(false, 3, 1560, 6400), std::make_pair(std::int64_t{3 * 1560}, kAllSlices));
    // Two slices, though one would fit.
    EXPECT_EQ(lengths(false, 6, 1560, 100000), std::make_pair(std::int64_t{3 * 1560}, kAllSlices));
    EXPECT_EQ(lengths(false, 9, 1560, 100000), std::make_pair(std::int64_t{5 * 1560}, 1));
    EXPECT_EQ(lengths(false, 21, 1560, 8000), std::make_pair(std::int64_t{5 * 1560}, 1)); // 5 4 4 4 4
    EXPECT_EQ(lengths(false, 18, 1560, 8000), std::make_pair(std::int64_t{5 * 1560}, 2)); // 5 5 4 4
    // Less than one fits.
    EXPECT_EQ(lengths(false, 21, 1560, 1500), std::make_pair(std::int64_t{11 * 128}, kAllSlices));
    EXPECT_EQ(lengths(true, 21, 84, 100000), std::make_pair(std::int64_t{21 * 84}, kAllSlices));
    EXPECT_EQ(lengths(true, 1, 84, 100000), std::make_pair(std::int64_t{256}, kAllSlices));
}

TEST(HeadsOfASlice, FillsRoundsOfMultiprocessors) {
    // 3, 6 and 12 heads need 4 rounds (of 111, 222 and 444 blocks), 4 heads would need 6.
    EXPECT_EQ(heads_of_a_slice(12, 1, 4680, 132, 24576), 3);
    EXPECT_EQ(heads_of_a_slice(12, 1, 4680, 132, 49152), 6);
    EXPECT_EQ(heads_of_a_slice(12, 1, 4680, 132, 98304), 12);
    EXPECT_EQ(heads_of_a_slice(12, 1, 4680, 132, 1000), 3);
    EXPECT_EQ(heads_of_a_slice(5, 2, 84, 132, 1000), 5); // one round for all
    EXPECT_EQ(heads_of_a_slice(1, 1, 4680, 132, 1000), 1);
    EXPECT_EQ(heads_of_a_slice(8, 1, 128 * 132, 132, 1000), 1); // every head fills the GPU
}

TEST(CachedSlices, StayInTheCacheOverLongHistories) {
    const quant::CachedSlicesOf long_history{.heads = 12,
                                             .heads_together = 3,
                                             .branches = 1,
                                             .head_dim = 128,
                                             .queries = 4680,
                                             .rows = 186 * 1560,
                                             .lanes = 3,
                                             .slots = 6};
    const quant::CachedSlices cached = quant::cached_slices(long_history);
    EXPECT_EQ(cached.heads, 2);
    EXPECT_EQ(cached.rows, 5853); // three latents
    // All that is in use at one time.
    EXPECT_LE(3 * cached.rows * 2 * 2 * 128 + 4680 * 2 * 128 * (6 + 4), quant::kInCache);
    quant::CachedSlicesOf shorter = long_history;
    shorter.rows = 48 * 1560; // little moves anyway
    EXPECT_EQ(quant::cached_slices(shorter).heads, 0);
    quant::CachedSlicesOf wide = long_history;
    wide.queries = 40000; // results alone are too many
    EXPECT_EQ(quant::cached_slices(wide).heads, 0);
}

// What the choice of an attention goes by: what a chunk reads, not what a walk holds.
TEST(MostHistoryRows, AreThoseThatAChunkReads) {
    quant::CacheShape shape{.tokens_per_latent = 1560, .sink_latents = 4, .window_latents = 40};
    quant::CachePolicy policy;
    EXPECT_EQ(quant::most_history_rows(shape, policy), 44 * 1560);
    policy.read_latents = 20;
    EXPECT_EQ(quant::most_history_rows(shape, policy), 20 * 1560);
    policy.read_latents = 60; // more than there are
    EXPECT_EQ(quant::most_history_rows(shape, policy), 44 * 1560);
    shape.window_latents = 0; // everything stays
    EXPECT_EQ(quant::most_history_rows(shape, policy), 60 * 1560);
    policy.read_latents = 0;
    EXPECT_EQ(quant::most_history_rows(shape, policy), 0);
}

} // namespace
} // namespace wander::test
