// Packed pages in a walk: toggling, the ledger, determinism, what a person is told about wrong formats.
#include "tests/unit/quant/cache_oracle.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace wander::test {
namespace {

CacheSetup packed_setup(const std::string& format) {
    CacheSetup setup;
    setup.shape = {.layers = 2,
                   .heads = 2,
                   .head_dim = 32,
                   .tokens_per_latent = 12,
                   .page_latents = 4,
                   .sink_latents = 1,
                   .window_latents = 24};
    setup.time_pairs = 6;
    setup.policy.format = format;
    return setup;
}

// A chunk without comparison; returns what attention gave in the last layer.
at::Tensor step(quant::KvCache& cache, const CacheSetup& setup, std::int64_t first) {
    const auto seed = static_cast<std::uint64_t>(first + 1);
    cache.begin_chunk(random_view(setup, cache.visible_history(first), first, 1, seed));
    at::Tensor last;
    for (int layer = 0; layer < setup.shape.layers; ++layer) {
        const auto base = seed * 100 + static_cast<std::uint64_t>(layer * 3);
        const at::Tensor k = random_rows(setup, 1, base);
        const at::Tensor v = random_rows(setup, 1, base + 1);
        last = cache.attend(layer, random_rows(setup, 1, base + 2), k, v);
        cache.write(layer, k, v);
    }
    cache.commit();
    return last;
}

void expect_same_bytes(const MemoryLedger& a, const MemoryLedger& b) {
    const auto same_kind = [](const KindBytes& x, const KindBytes& y) {
        EXPECT_EQ(x.codes, y.codes);
        EXPECT_EQ(x.scales, y.scales);
        EXPECT_EQ(x.codebooks, y.codebooks);
        EXPECT_EQ(x.headers, y.headers);
        EXPECT_EQ(x.open, y.open);
    };
    same_kind(a.keys, b.keys);
    same_kind(a.values, b.values);
    EXPECT_EQ(a.scratch_bytes, b.scratch_bytes);
    EXPECT_EQ(a.packed_bytes, b.packed_bytes);
    EXPECT_EQ(a.packed_bf16_bytes, b.packed_bf16_bytes);
    EXPECT_EQ(a.bf16_equivalent_bytes, b.bf16_equivalent_bytes);
    EXPECT_EQ(a.pages_waiting, b.pages_waiting);
}

TEST(Packing, PackedAttentionEqualsDecodedAttention) {
    for (const char* format : {"int2", "qvg-int2", "qvg-stream", "qvg-pro", "pca2"}) {
        const CacheSetup setup = packed_setup(format);
        auto cache = make_cache(setup);
        double worst = 0;
        for (int n = 0; n < 14; ++n) {
            worst = std::max(worst, step_and_compare(*cache, setup, n, 1, static_cast<std::uint64_t>(n)));
        }
        EXPECT_GT(cache->ledger().packed_bytes, 0);
        EXPECT_LT(worst, 1e-5) << format;
    }
}

TEST(Packing, PackedBfloat16AttentionEqualsDecodedAttention) {
    CacheSetup setup = packed_setup("int2");
    setup.compute = at::kBFloat16;
    auto cache = make_cache(setup);
    double worst = 0;
    for (int n = 0; n < 14; ++n) {
        worst = std::max(worst, step_and_compare(*cache, setup, n, 1, static_cast<std::uint64_t>(n)));
    }
    EXPECT_LT(worst, 2e-2);
}

TEST(Packing, TwoHundredTogglesLeaveTheSameBytes) {
    for (const std::string& final_format : {std::string("int2"), std::string("bf16")}) {
        const CacheSetup calm = packed_setup(final_format);
        auto still = make_cache(calm);
        auto toggled = make_cache(calm);
        const std::string formats[] = {"int2", "bf16"};
        std::int64_t n = 0;
        for (int toggle = 0; toggle < 200; ++toggle) {
            ASSERT_TRUE(toggled->set_format(formats[toggle % 2]));
            if (toggle % 3 != 0) { // some toggles follow each other within one chunk
                step(*toggled, calm, n);
                step(*still, calm, n);
                ++n;
            }
        }
        ASSERT_TRUE(toggled->set_format(final_format));
        for (int settle = 0; settle < 40 && (settle == 0 || !toggled->converter_idle()); ++settle, ++n) {
            step(*toggled, calm, n);
            step(*still, calm, n);
        }
        ASSERT_TRUE(toggled->converter_idle());
        expect_same_bytes(toggled->ledger(), still->ledger());
    }
}

TEST(Packing, ConverterVisitsOneGroupACommitOldestFirst) {
    const CacheSetup setup = packed_setup("int2");
    auto cache = make_cache(setup);
    std::int64_t n = 0;
    for (; n < 21; ++n) { // sink, five groups; the last holds the newest chunk
        step(*cache, setup, n);
    }
    ASSERT_TRUE(cache->set_format("bf16"));
    EXPECT_EQ(cache->ledger().pages_waiting, 4);
    EXPECT_FALSE(cache->converter_idle());
    step(*cache, setup, n++);
    const auto cells = cache->pages();
    ASSERT_GE(cells.size(), 6U);
    EXPECT_TRUE(cells[0].sink);
    EXPECT_EQ(cells[1].format, "bf16");
    EXPECT_TRUE(cells[1].lossy_history);
    EXPECT_EQ(cells[2].format, "int2");
    EXPECT_FALSE(cells[2].lossy_history);
    EXPECT_EQ(cells[5].format, "bf16"); // became packable after the toggle
    EXPECT_FALSE(cells[5].lossy_history);
    EXPECT_EQ(cache->ledger().pages_waiting, 3);
}

TEST(Packing, DecodingKeepsTheValuesAndReencodingIsMarked) {
    const CacheSetup setup = packed_setup("int2");
    auto cache = make_cache(setup);
    std::int64_t n = 0;
    for (; n < 6; ++n) {
        step(*cache, setup, n);
    }
    const at::Tensor packed = cache->read_keys(1, 1, 4);
    ASSERT_TRUE(cache->set_format("bf16"));
    step(*cache, setup, n++);
    EXPECT_EQ(cache->pages()[1].format, "bf16");
    EXPECT_TRUE(cache->read_keys(1, 1, 4).equal(packed));
    ASSERT_TRUE(cache->set_format("int2"));
    step(*cache, setup, n++);
    EXPECT_EQ(cache->pages()[1].format, "int2");
    EXPECT_TRUE(cache->pages()[1].lossy_history);
}

TEST(Packing, PeakHoldsOnePageExtraWhileConverting) {
    CacheSetup setup = packed_setup("int2");
    setup.policy.convert_groups_per_commit = 100;
    auto cache = make_cache(setup);
    std::int64_t n = 0;
    for (; n < 22; ++n) {
        step(*cache, setup, n);
    }
    ASSERT_TRUE(cache->set_format("bf16"));
    step(*cache, setup, n++);
    const MemoryLedger after = cache->ledger();
    const std::int64_t raw_page = 4LL * setup.shape.tokens_per_latent * setup.shape.heads * setup.shape.head_dim * 4;
    EXPECT_EQ(after.packed_bytes, 0);
    EXPECT_LE(after.peak_bytes, after.bytes() + after.scratch_bytes + raw_page);
}

TEST(Packing, SameSeedSameBits) {
    const CacheSetup setup = packed_setup("int2");
    auto first = make_cache(setup);
    auto second = make_cache(setup);
    for (std::int64_t n = 0; n < 20; ++n) {
        if (n == 7 || n == 13) {
            for (auto* cache : {&first, &second}) {
                ASSERT_TRUE((*cache)->set_format(n == 7 ? "bf16" : "int2"));
            }
        }
        EXPECT_TRUE(step(*first, setup, n).equal(step(*second, setup, n))) << "chunk " << n;
    }
}

TEST(Packing, PackedPagesAreSmallAtTheEmbeddedShape) {
    CacheSetup setup = embedded_setup();
    setup.policy.format = "int2";
    auto cache = make_cache(setup);
    for (std::int64_t n = 0; n < 27; ++n) {
        step(*cache, setup, n);
    }
    const MemoryLedger ledger = cache->ledger();
    EXPECT_GE(ledger.packed_ratio(), 6.5);
    EXPECT_EQ(ledger.keys.codes + ledger.keys.scales + ledger.keys.codebooks + ledger.keys.headers +
                  ledger.values.codes + ledger.values.scales + ledger.values.codebooks + ledger.values.headers,
              ledger.packed_bytes);
}

TEST(Packing, WrongFormatsAreRefusedWithAReason) {
    CacheSetup setup = packed_setup("int3");
    auto unknown = quant::KvCache::create(setup.shape, setup.policy, at::kCPU, at::kFloat);
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code, ErrorCode::wrong_use);
    EXPECT_NE(unknown.error().message.find("int3"), std::string::npos);
    EXPECT_NE(unknown.error().message.find("int2"), std::string::npos);

    setup.policy.format = "int2";
    EXPECT_FALSE(quant::KvCache::create(setup.shape, setup.policy, at::kCPU, at::kDouble));
    setup.shape.head_dim = 20;
    EXPECT_FALSE(quant::KvCache::create(setup.shape, setup.policy, at::kCPU, at::kFloat));

    auto cache = make_cache(packed_setup("bf16"));
    EXPECT_FALSE(cache->set_format("nonsense"));
    EXPECT_EQ(cache->format(), "bf16");
}

} // namespace
} // namespace wander::test
