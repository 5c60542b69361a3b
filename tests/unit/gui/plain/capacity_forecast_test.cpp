#include "gui/plain/capacity_forecast.hpp"

#include <gtest/gtest.h>

namespace wander::gui {
namespace {

constexpr std::int64_t kMiB = 1 << 20;

ChunkTelemetry chunk(std::int64_t index, std::int64_t cache_mib, std::int64_t used_mib, std::int64_t total_mib) {
    ChunkTelemetry c;
    c.index = index;
    c.cache_bytes = cache_mib * kMiB;
    c.device_used_bytes = used_mib * kMiB;
    c.device_total_bytes = total_mib * kMiB;
    return c;
}

const CapacityFacts kFacts{.view_latents = 42, .sink_latents = 3, .chunk_latents = 3, .raw_latent_bytes = 100 * kMiB};

TEST(CapacityForecast, AFullWindowOfUncompressedPages) {
    const auto f = forecast_capacity(kFacts, chunk(1, 600, 4600, 20000), 1);
    EXPECT_EQ(f.cache_bytes, 4200 * kMiB);
    EXPECT_EQ(f.device_bytes, 8200 * kMiB);
    EXPECT_FALSE(f.full);
    EXPECT_TRUE(f.fits);
    EXPECT_EQ(f.most_latents, 150); // (0.95 * 20000 - 4000) / 100
}

TEST(CapacityForecast, SinkNewestAndOpenChunkStayUncompressed) {
    const auto f = forecast_capacity(kFacts, chunk(1, 600, 4600, 20000), 5);
    EXPECT_EQ(f.cache_bytes, (9 * 100 + 33 * 20) * kMiB);
    EXPECT_EQ(f.most_latents, 9 + (15000 - 900) * 5 / 100);
    ChunkTelemetry packed_sink = chunk(1, 600, 4600, 20000);
    packed_sink.rules.keep_sink = false;
    EXPECT_EQ(forecast_capacity(kFacts, packed_sink, 5).cache_bytes, (6 * 100 + 36 * 20) * kMiB);
}

TEST(CapacityForecast, SaysWhenItWillNotFit) {
    EXPECT_FALSE(forecast_capacity(kFacts, chunk(0, 300, 4300, 8000), 1).fits);
    EXPECT_TRUE(forecast_capacity(kFacts, chunk(0, 300, 4300, 8000), 5).fits);
}

TEST(CapacityForecast, AFullWindowNeedsWhatItHas) {
    const auto f = forecast_capacity(kFacts, chunk(40, 4200, 8200, 20000), 1);
    EXPECT_TRUE(f.full);
    EXPECT_EQ(f.device_bytes, 8200 * kMiB);
}

TEST(CapacityForecast, WithoutAGpuOnlyTheCacheIsForecast) {
    const auto f = forecast_capacity(kFacts, chunk(1, 600, 0, 0), 1);
    EXPECT_EQ(f.cache_bytes, 4200 * kMiB);
    EXPECT_EQ(f.device_bytes, 0);
    EXPECT_EQ(f.most_latents, 0);
    EXPECT_EQ(forecast_capacity({}, chunk(1, 600, 0, 0), 1).cache_bytes, 0);
}

} // namespace
} // namespace wander::gui
