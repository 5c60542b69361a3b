#include "generator/plain/capacity_forecast.hpp"

#include <gtest/gtest.h>

namespace wander {
namespace {

constexpr std::int64_t kMiB = 1 << 20;

CapacityNow now(std::int64_t latents, std::int64_t cache_mib, std::int64_t used_mib, std::int64_t total_mib,
                double ratio) {
    return {latents, cache_mib * kMiB, used_mib * kMiB, total_mib * kMiB, ratio};
}

const quant::CacheRules kRules;
const CapacityFacts kFacts{.view_latents = 42, .sink_latents = 3, .chunk_latents = 3, .raw_latent_bytes = 100 * kMiB};

TEST(CapacityForecast, AFullWindowOfUncompressedPages) {
    const auto f = forecast_capacity(kFacts, kRules, now(6, 600, 4600, 20000, 1));
    EXPECT_EQ(f.cache_bytes, 4200 * kMiB);
    EXPECT_EQ(f.device_bytes, 8200 * kMiB);
    EXPECT_FALSE(f.full);
    EXPECT_TRUE(f.fits);
    EXPECT_EQ(f.most_latents, 150); // (0.95 * 20000 - 4000) / 100
}

TEST(CapacityForecast, SinkAndNewestChunkStayUncompressed) {
    const auto f = forecast_capacity(kFacts, kRules, now(6, 600, 4600, 20000, 5));
    EXPECT_EQ(f.cache_bytes, (6 * 100 + 36 * 20) * kMiB);
    EXPECT_EQ(f.most_latents, 6 + (15000 - 600) * 5 / 100);
    // 4,000 MiB beside the cache; 35 % of a chunk's 300 MiB and 2 % of the packed pages for what the allocator leaves
    // over.
    const double leftover = 0.35 * 300 + 0.02 * 36 * 20;
    EXPECT_NEAR(static_cast<double>(f.device_bytes) / kMiB, 4000 + 6 * 100 + 36 * 20 + leftover, 0.01);
    quant::CacheRules packed_sink;
    packed_sink.keep_sink = false;
    EXPECT_EQ(forecast_capacity(kFacts, packed_sink, now(6, 600, 4600, 20000, 5)).cache_bytes,
              (3 * 100 + 39 * 20) * kMiB);
}

TEST(CapacityForecast, SaysWhenItWillNotFit) {
    EXPECT_FALSE(forecast_capacity(kFacts, kRules, now(3, 300, 4300, 8000, 1)).fits);
    EXPECT_TRUE(forecast_capacity(kFacts, kRules, now(3, 300, 4300, 8000, 5)).fits);
}

TEST(CapacityForecast, AFullWindowNeedsWhatItHas) {
    const auto f = forecast_capacity(kFacts, kRules, now(123, 4200, 8200, 20000, 1));
    EXPECT_TRUE(f.full);
    EXPECT_EQ(f.device_bytes, 8200 * kMiB);
}

// Kept rows give way, so what is forecast is what it would be without them.
TEST(CapacityForecast, KeptRowsAreLeftOut) {
    const auto without = forecast_capacity(kFacts, kRules, now(6, 600, 4600, 20000, 1));
    CapacityNow with = now(6, 600, 4600 + 14000, 20000, 1);
    EXPECT_FALSE(forecast_capacity(kFacts, kRules, with).fits);
    with.kept_row_bytes = 14000 * kMiB;
    const auto f = forecast_capacity(kFacts, kRules, with);
    EXPECT_EQ(f.device_bytes, without.device_bytes);
    EXPECT_EQ(f.most_latents, without.most_latents);
    EXPECT_TRUE(f.fits);
}

TEST(CapacityForecast, WithoutAGpuOnlyTheCacheIsForecast) {
    const auto f = forecast_capacity(kFacts, kRules, now(6, 600, 0, 0, 1));
    EXPECT_EQ(f.cache_bytes, 4200 * kMiB);
    EXPECT_EQ(f.device_bytes, 0);
    EXPECT_EQ(f.most_latents, 0);
    EXPECT_EQ(forecast_capacity({}, kRules, now(6, 600, 0, 0, 1)).cache_bytes, 0);
}

} // namespace
} // namespace wander
