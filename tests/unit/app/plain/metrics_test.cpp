#include "app/metrics.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace wander {
namespace {

using Json = nlohmann::json;

RunMetrics sample() {
    RunMetrics metrics;
    metrics.model = "embedded";
    metrics.seed = 18446744073709551615u;
    metrics.cache_format = "int2";
    metrics.frames = 9;
    metrics.run_seconds = 0.5;
    for (int i = 0; i < 2; ++i) {
        ChunkTelemetry chunk;
        chunk.index = i;
        chunk.frames = 4;
        chunk.hold = {"forward"};
        chunk.format = "int2";
        chunk.ms.period = 100 + i;
        chunk.ledger.keys.codes = 10;
        chunk.ledger.values.codes = 20;
        chunk.ledger.keys.scales = 3;
        chunk.ledger.values.codebooks = 4;
        chunk.ledger.keys.headers = 5;
        chunk.ledger.values.open = 58;
        chunk.ledger.bf16_equivalent_bytes = 400;
        chunk.ledger.packed_bytes = 42;
        chunk.ledger.packed_bf16_bytes = 294;
        chunk.ledger.peak_bytes = 123;
        chunk.ledger.text_bytes = 77;
        chunk.ledger.kept_row_bytes = 66;
        metrics.chunks.push_back(chunk);
    }
    return metrics;
}

// Other tools read these names: add, never rename.
TEST(Metrics, FixedKeysAreThere) {
    const Json json = Json::parse(metrics_json(sample()));
    for (const char* key : {"model", "device", "precision", "threads", "seed", "cache_format", "frames", "fps",
                            "frames_sha256", "start_ms", "peak_gpu_bytes", "peak_host_bytes", "cache", "chunks"}) {
        EXPECT_TRUE(json.contains(key)) << key;
    }
    for (const char* key : {"format", "bytes", "bf16_equivalent_bytes", "ratio", "codes_bytes", "scales_bytes",
                            "codebook_bytes", "open_bytes", "packed_ratio", "peak_bytes", "kept_row_bytes"}) {
        EXPECT_TRUE(json["cache"].contains(key)) << key;
    }
    const Json& chunk = json["chunks"][1];
    for (const char* key :
         {"index", "frames", "hold", "format", "ms", "cache_bytes", "bf16_equivalent_bytes", "input_age_ms"}) {
        EXPECT_TRUE(chunk.contains(key)) << key;
    }
    for (const char* key : {"denoise", "context", "encode", "expand", "decode", "total", "period"})
        EXPECT_TRUE(chunk["ms"].contains(key)) << key;
}

TEST(Metrics, FiguresAreThoseOfTheLedger) {
    const Json json = Json::parse(metrics_json(sample()));
    EXPECT_EQ(json["seed"].get<std::uint64_t>(), 18446744073709551615u);
    EXPECT_DOUBLE_EQ(json["fps"], 18.0);
    EXPECT_EQ(json["cache"]["bytes"], 100);
    EXPECT_EQ(json["cache"]["codes_bytes"], 30);
    EXPECT_EQ(json["cache"]["scales_bytes"], 3);
    EXPECT_EQ(json["cache"]["codebook_bytes"], 4);
    EXPECT_EQ(json["cache"]["header_bytes"], 5);
    EXPECT_EQ(json["cache"]["open_bytes"], 58);
    EXPECT_DOUBLE_EQ(json["cache"]["ratio"], 4.0);
    EXPECT_DOUBLE_EQ(json["cache"]["packed_ratio"], 7.0);
    EXPECT_EQ(json["cache"]["peak_bytes"], 123);
    EXPECT_EQ(json["cache"]["text_bytes"], 77);
    EXPECT_EQ(json["cache"]["kept_row_bytes"], 66);
    EXPECT_DOUBLE_EQ(json["ms_p50"]["period"], 100);
    EXPECT_DOUBLE_EQ(json["ms_p99"]["period"], 101);
}

TEST(Metrics, TheCacheTellsItsRules) {
    RunMetrics metrics = sample();
    metrics.chunks.back().rules = {{{0, 1, "int8"}, {5, 5, "bf16"}}, 2, false, true};
    const Json json = Json::parse(metrics_json(metrics));
    EXPECT_EQ(json["cache"]["keep_recent"], 2);
    EXPECT_EQ(json["cache"]["keep_sink"], false);
    EXPECT_EQ(json["cache"]["cache_layers"], "0-1:int8,5:bf16");
    EXPECT_EQ(json["cache"]["bias_correction"], true);
}

TEST(Metrics, ARunWithoutChunksIsStillJson) {
    RunMetrics metrics;
    metrics.cache_format = "bf16";
    const Json json = Json::parse(metrics_json(metrics));
    EXPECT_EQ(json["cache"]["format"], "bf16");
    EXPECT_TRUE(json["chunks"].is_array());
    EXPECT_TRUE(json["chunks"].empty());
}

TEST(Metrics, NearestRankPercentiles) {
    EXPECT_EQ(percentile({}, 50), 0);
    EXPECT_EQ(percentile({5}, 99), 5);
    EXPECT_EQ(percentile({4, 1, 3, 2}, 50), 2);
    EXPECT_EQ(percentile({4, 1, 3, 2}, 99), 4);
    EXPECT_EQ(percentile({4, 1, 3, 2}, 0), 1);
}

} // namespace
} // namespace wander
