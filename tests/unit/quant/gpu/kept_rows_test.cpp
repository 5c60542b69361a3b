// Expanded rows that stay from pass to pass give the bits of those that are expanded each time, on a Hopper GPU.
#include "tests/support/cuda_runtime.hpp"
#include "tests/unit/quant/cache_oracle.hpp"

#include <ATen/ATen.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace wander::test {
namespace {

constexpr int kLayers = 3;

class KeptRows : public testing::Test {
protected:
    void SetUp() override {
        if (!open_cuda()) FAIL() << "no CUDA device";
        if (!is_hopper()) GTEST_SKIP() << "rows are kept for Hopper's own attention";
    }

    static CacheSetup setup(std::int64_t leave) {
        CacheSetup setup;
        setup.shape = {.layers = kLayers,
                       .heads = 4,
                       .head_dim = 128,
                       .tokens_per_latent = 264,
                       .page_latents = 2,
                       .sink_latents = 1,
                       .window_latents = 6};
        setup.time_pairs = 22;
        setup.compute = at::kBFloat16;
        setup.device = at::Device(at::kCUDA, 0);
        setup.text_tokens = 37;
        setup.policy.slice_bytes = 6 << 20; // two heads a launch, or three
        setup.policy.kept_rows_leave = leave;
        return setup;
    }

    struct Rows {
        at::Tensor q, k, v;
    };
    static Rows rows(const CacheSetup& setup, std::uint64_t seed) {
        return {random_rows(setup, 1, seed), random_rows(setup, 1, seed + 1), random_rows(setup, 1, seed + 2)};
    }
    // Of every layer in turn, or of so many; seed: of the pass.
    static void expect_equal_passes(const CacheSetup& setup, quant::KvCache& kept, quant::KvCache& other,
                                    std::uint64_t seed, bool write = false, int layers = kLayers) {
        for (int layer = 0; layer < layers; ++layer) {
            const Rows own = rows(setup, seed * 1000 + static_cast<std::uint64_t>(layer) * 10);
            const at::Tensor a = kept.attend(layer, own.q.clone(), own.k, own.v);
            const at::Tensor b = other.attend(layer, own.q.clone(), own.k, own.v);
            EXPECT_TRUE(at::isfinite(a).all().item<bool>());
            EXPECT_TRUE(a.equal(b)) << "pass " << seed << ", layer " << layer;
            if (!write) continue;
            kept.write(layer, own.k, own.v);
            other.write(layer, own.k, own.v);
        }
    }
    static std::int64_t kept_bytes(const quant::KvCache& cache) { return cache.ledger().kept_row_bytes; }
    static std::int64_t allocated() { // of torch's allocator, for somebody
        const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(0);
        return stats.allocated_bytes[static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE)].current;
    }
};

TEST_F(KeptRows, GiveTheSameBits) {
    const CacheSetup one = setup(0);
    const auto kept = make_cache(one);
    const auto other = make_cache(setup(-1));
    const auto begin = [&](std::int64_t first, std::uint64_t cameras) {
        const quant::ReadView view = random_view(one, kept->visible_history(first), first, 1, cameras);
        kept->begin_chunk(view);
        other->begin_chunk(view);
    };
    for (int chunk = 0; chunk < 10; ++chunk) {
        SCOPED_TRACE(testing::Message() << "chunk " << chunk);
        const auto seed = static_cast<std::uint64_t>(chunk) * 10;
        begin(chunk, seed + 1);
        for (std::uint64_t pass = 0; pass < 3; ++pass) expect_equal_passes(one, *kept, *other, seed + pass);
        // Sink, history and the chunk, keys and values of two branches, uncompressed, of all layers; the text beside.
        // While new pages are packed (chunks 6 and 7) nothing stays, and without a history there is nothing to keep.
        const std::int64_t history = std::min(chunk, 7);
        const bool keeps = history > 0 && chunk != 6 && chunk != 7;
        if (keeps) {
            EXPECT_GE(kept_bytes(*kept), kLayers * (history + 1) * 264 * 4 * 128 * 2 * 2 * 2);
        } else {
            EXPECT_EQ(kept_bytes(*kept), 0);
        }
        EXPECT_EQ(kept_bytes(*other), 0);
        EXPECT_EQ(kept->ledger().scratch_bytes, other->ledger().scratch_bytes);
        begin(chunk, seed + 2); // other cameras: rows of before would be wrong
        expect_equal_passes(one, *kept, *other, seed + 4);
        begin(chunk, seed + 2); // the same once more, as fast context's last pass, but given up
        expect_equal_passes(one, *kept, *other, seed + 5, true, 2);
        begin(chunk, seed + 2); // pages that took another format in it (chunks 6 to 9) are read as they are now
        expect_equal_passes(one, *kept, *other, seed + 6, true);
        kept->commit();
        other->commit();
        if (chunk == 5) {
            const std::int64_t bytes = kept_bytes(*kept), before = allocated();
            ASSERT_TRUE(kept->set_format("int2"));
            EXPECT_EQ(kept_bytes(*kept), 0);
            EXPECT_GE(before - allocated(), bytes) << "all of it goes back at once";
            ASSERT_TRUE(other->set_format("int2"));
        }
        if (chunk == 7) {
            for (quant::KvCache* cache : {kept.get(), other.get()}) ASSERT_TRUE(cache->set_format("bf16"));
            EXPECT_EQ(kept_bytes(*kept), 0) << "it is taken again when a chunk begins";
        }
    }
}

// Another text stands in the rows that were kept.
TEST_F(KeptRows, AnotherTextIsRead) {
    const CacheSetup one = setup(0);
    const auto kept = make_cache(one);
    const auto other = make_cache(setup(-1));
    for (int chunk = 0; chunk < 4; ++chunk) {
        const auto seed = static_cast<std::uint64_t>(chunk) * 10;
        const quant::ReadView view = random_view(one, kept->visible_history(chunk), chunk, 1, seed + 1);
        for (quant::KvCache* cache : {kept.get(), other.get()}) cache->begin_chunk(view);
        expect_equal_passes(one, *kept, *other, seed);
        for (quant::KvCache* cache : {kept.get(), other.get()}) {
            std::vector<quant::TextRows> text;
            for (int layer = 0; layer < kLayers; ++layer) text.push_back(random_text(one, 100 * (chunk + 1) + layer));
            cache->set_text(std::move(text));
            EXPECT_EQ(kept_bytes(*cache), 0) << "a text's maker has the room";
            cache->begin_chunk(view);
        }
        expect_equal_passes(one, *kept, *other, seed + 1, true);
        kept->commit();
        other->commit();
    }
}

// A GPU that has nothing to spare keeps nothing.
TEST_F(KeptRows, LeaveMemoryToOthers) {
    const CacheSetup one = setup(std::int64_t{1} << 50);
    const auto cache = make_cache(one);
    const auto other = make_cache(setup(-1));
    for (int chunk = 0; chunk < 3; ++chunk) {
        const quant::ReadView view =
            random_view(one, cache->visible_history(chunk), chunk, 1, static_cast<std::uint64_t>(chunk) + 1);
        for (quant::KvCache* each : {cache.get(), other.get()}) each->begin_chunk(view);
        expect_equal_passes(one, *cache, *other, static_cast<std::uint64_t>(chunk), true);
        EXPECT_EQ(kept_bytes(*cache), 0);
        cache->commit();
        other->commit();
    }
}

} // namespace
} // namespace wander::test
