// Expanded rows that stay from pass to pass give the bits of those that are expanded each time, on a Hopper GPU.
#include "quant/cache/kept_rows.hpp"
#include "tests/support/cuda_runtime.hpp"
#include "tests/unit/quant/cache_oracle.hpp"

#include <ATen/ATen.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
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

    static CacheSetup setup(std::int64_t leave, quant::AttentionType type = quant::AttentionType::bf16) {
        CacheSetup setup;
        setup.policy.attention = type;
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

    // Of much larger rows than what else a walk takes in the course of it.
    static CacheSetup large_setup() {
        CacheSetup large = setup(0);
        large.shape.tokens_per_latent = 4 * 264;
        large.policy.slice_bytes = 24 << 20;
        return large;
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
    // A chunk of one latent, of two passes.
    static void walk_chunk(const CacheSetup& setup, quant::KvCache& cache, int chunk) {
        const auto seed = static_cast<std::uint64_t>(chunk) * 10;
        cache.begin_chunk(random_view(setup, cache.visible_history(chunk), chunk, 1, seed + 1));
        for (const bool write : {false, true}) {
            for (int layer = 0; layer < kLayers; ++layer) {
                const Rows own = rows(setup, seed * 1000 + static_cast<std::uint64_t>(layer) * 10);
                (void)cache.attend(layer, own.q.clone(), own.k, own.v);
                if (write) cache.write(layer, own.k, own.v);
            }
        }
        cache.commit();
    }
    static void walk_alone(const CacheSetup& setup, int chunks) {
        const auto cache = make_cache(setup);
        for (int chunk = 0; chunk < chunks; ++chunk) walk_chunk(setup, *cache, chunk);
    }

    static std::int64_t kept_bytes(const quant::KvCache& cache) { return cache.ledger().kept_row_bytes; }
    // Of a history of so many latents, one more being made, with the text and what rounding needs: keys and values of
    // two branches, of all layers.
    static std::int64_t bytes_of(const CacheSetup& setup, std::int64_t history) {
        const std::int64_t rows = (history + 1) * setup.shape.tokens_per_latent + 37 + 16;
        const std::int64_t value_bytes = setup.policy.attention == quant::AttentionType::fp8 ? 1 : 2;
        constexpr std::int64_t kWhole = std::int64_t{2} << 20;
        return kLayers * ((2 * rows * 2 * 4 * 128 * value_bytes + kWhole - 1) / kWhole) * kWhole;
    }

    // By torch's allocator, for somebody or for nobody.
    static std::int64_t reserved() {
        const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(0);
        return stats.reserved_bytes[static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE)].current;
    }
};

// For rows of either type.
class KeptRowsOfType : public KeptRows, public testing::WithParamInterface<quant::AttentionType> {};

std::string name_of_type(const testing::TestParamInfo<quant::AttentionType>& info) {
    return info.param == quant::AttentionType::fp8 ? "fp8" : "bf16";
}
INSTANTIATE_TEST_SUITE_P(Type, KeptRowsOfType, testing::Values(quant::AttentionType::bf16, quant::AttentionType::fp8),
                         name_of_type);

TEST_P(KeptRowsOfType, GiveTheSameBits) {
    const CacheSetup one = setup(0, GetParam());
    const auto kept = make_cache(one);
    const auto other = make_cache(setup(-1, GetParam()));
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
        // Of a full window (a sink latent and 6 more), whatever the history has by now. While new pages are packed
        // (chunks 6 and 7) nothing stays, and without a history there is nothing to keep.
        const bool keeps = chunk > 0 && chunk != 6 && chunk != 7;
        EXPECT_EQ(kept_bytes(*kept), keeps ? bytes_of(one, 7) : 0);
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
            ASSERT_TRUE(kept->set_format("int2"));
            EXPECT_EQ(kept_bytes(*kept), 0) << "all of it goes back at once";
            ASSERT_TRUE(other->set_format("int2"));
        }
        if (chunk == 7) {
            for (quant::KvCache* cache : {kept.get(), other.get()}) ASSERT_TRUE(cache->set_format("bf16"));
            EXPECT_EQ(kept_bytes(*kept), 0) << "it is taken again when a chunk begins";
        }
    }
}

// Another text stands in the rows that were kept.
TEST_P(KeptRowsOfType, AnotherTextIsRead) {
    const CacheSetup one = setup(0, GetParam());
    const auto kept = make_cache(one);
    const auto other = make_cache(setup(-1, GetParam()));
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

// A chunk that is begun again finds nothing of the passes that were given up: not the scale that E4M3 rows had by what
// was measured in them, either.
TEST_P(KeptRowsOfType, AGivenUpPassLeavesNoTrace) {
    const CacheSetup one = setup(0, GetParam());
    const auto kept = make_cache(one);
    const auto other = make_cache(one);
    for (int chunk = 0; chunk < 3; ++chunk) {
        const auto seed = static_cast<std::uint64_t>(chunk) * 10;
        const quant::ReadView view = random_view(one, kept->visible_history(chunk), chunk, 1, seed + 1);
        kept->begin_chunk(view);
        for (int layer = 0; layer < kLayers; ++layer) {
            const Rows own = rows(one, seed + 5);
            (void)kept->attend(layer, own.q.clone(), own.k * 3, own.v * 3);
        }
        for (quant::KvCache* cache : {kept.get(), other.get()}) cache->begin_chunk(view);
        expect_equal_passes(one, *kept, *other, seed);
        expect_equal_passes(one, *kept, *other, seed + 1, true);
        kept->commit();
        other->commit();
    }
}

// With a window the memory is there from the first history on and stays as it is while the context grows. None of it
// is torch's allocator's, which takes no more than in a walk that was made before.
TEST_F(KeptRows, AGrowingWindowTakesNoMore) {
    const CacheSetup one = large_setup();
    walk_alone(one, 10);
    const std::int64_t before = reserved();
    const auto cache = make_cache(one);
    for (int chunk = 0; chunk < 10; ++chunk) {
        SCOPED_TRACE(testing::Message() << "chunk " << chunk);
        walk_chunk(one, *cache, chunk);
        EXPECT_EQ(kept_bytes(*cache), chunk > 0 ? bytes_of(one, 7) : 0);
        EXPECT_LE(reserved() - before, bytes_of(one, 7) / 4);
    }
}

// So it is when a chunk reads only a part of the window.
TEST_F(KeptRows, AChoiceOfLatentsTakesItsOwnMost) {
    CacheSetup one = setup(0);
    one.policy.read_latents = 3;
    const auto kept = make_cache(one);
    CacheSetup none = one;
    none.policy.kept_rows_leave = -1;
    const auto other = make_cache(none);
    for (int chunk = 0; chunk < 8; ++chunk) {
        SCOPED_TRACE(testing::Message() << "chunk " << chunk);
        std::vector<std::int64_t> chosen = kept->visible_history(chunk);
        if (chosen.size() > 3) chosen.erase(chosen.begin() + 1, chosen.end() - 2);
        const auto seed = static_cast<std::uint64_t>(chunk) * 10;
        quant::ReadView view = random_view(one, chosen, chunk, 1, seed + 1);
        view.chosen = chosen;
        for (quant::KvCache* cache : {kept.get(), other.get()}) cache->begin_chunk(view);
        expect_equal_passes(one, *kept, *other, seed);
        expect_equal_passes(one, *kept, *other, seed + 1, true);
        EXPECT_EQ(kept_bytes(*kept), chunk > 0 ? bytes_of(one, 3) : 0);
        kept->commit();
        other->commit();
    }
}

// Without a window it is taken anew from time to time, a little larger than is needed.
TEST_F(KeptRows, AContextWithoutAnEndIsFollowed) {
    CacheSetup one = setup(0);
    one.shape.window_latents = 0;
    CacheSetup none = one;
    none.policy.kept_rows_leave = -1;
    const auto kept = make_cache(one);
    const auto other = make_cache(none);
    int taken = 0;
    for (int chunk = 0; chunk < 14; ++chunk) {
        SCOPED_TRACE(testing::Message() << "chunk " << chunk);
        const auto seed = static_cast<std::uint64_t>(chunk) * 10;
        const std::int64_t before = kept_bytes(*kept);
        const quant::ReadView view = random_view(one, kept->visible_history(chunk), chunk, 1, seed + 1);
        for (quant::KvCache* cache : {kept.get(), other.get()}) cache->begin_chunk(view);
        expect_equal_passes(one, *kept, *other, seed);
        expect_equal_passes(one, *kept, *other, seed + 1, true);
        kept->commit();
        other->commit();
        if (chunk == 0) continue;
        taken += kept_bytes(*kept) != before ? 1 : 0;
        EXPECT_GE(kept_bytes(*kept), bytes_of(one, chunk));
        EXPECT_LE(kept_bytes(*kept), bytes_of(one, chunk) * 9 / 8 + kLayers * (std::int64_t{2} << 20));
    }
    EXPECT_LT(taken, 13);
}

// Memory that is held is what is shown: what was outgrown, and all of it when it gives way, is nobody's at once.
TEST_F(KeptRows, NothingIsHeldBesideWhatIsShown) {
    constexpr std::int64_t kMiB = std::int64_t{1} << 20;
    quant::KeptRows rows(at::Device(at::kCUDA, 0), kLayers);
    const auto is_memory = [](const std::uint8_t* place) {
        cudaPointerAttributes attributes{};
        EXPECT_EQ(cudaPointerGetAttributes(&attributes, place), cudaSuccess);
        return attributes.type == cudaMemoryTypeDevice;
    };
    const auto places = [&] {
        std::vector<const std::uint8_t*> all;
        for (int layer = 0; layer < kLayers; ++layer) all.push_back(static_cast<const std::uint8_t*>(rows.rows(layer)));
        return all;
    };
    const std::int64_t torch_before = reserved();
    rows.begin_chunk(kMiB, 0);
    EXPECT_EQ(rows.bytes(), 0) << "not before it is allowed";
    rows.leave(0);
    rows.begin_chunk(3 * kMiB, 64 * kMiB);
    EXPECT_EQ(rows.bytes(), kLayers * 64 * kMiB);
    const auto first = places();
    rows.begin_chunk(64 * kMiB, 0);
    EXPECT_EQ(places(), first);
    rows.begin_chunk(0, 64 * kMiB);
    EXPECT_EQ(places(), std::vector<const std::uint8_t*>(kLayers)) << "not in this chunk";
    rows.begin_chunk(65 * kMiB, 0);
    EXPECT_EQ(rows.bytes(), kLayers * 72 * kMiB);
    const auto second = places();
    for (const std::uint8_t* place : second) {
        ASSERT_TRUE(place && is_memory(place) && is_memory(place + 72 * kMiB - 1));
    }
    for (const std::uint8_t* place : first) {
        const bool again = std::any_of(second.begin(), second.end(), [&](const std::uint8_t* memory) {
            return place + 64 * kMiB > memory && place < memory + 72 * kMiB;
        });
        EXPECT_TRUE(again || !is_memory(place));
    }
    rows.give_way();
    EXPECT_EQ(rows.bytes(), 0);
    for (const std::uint8_t* place : second) EXPECT_FALSE(is_memory(place));
    rows.begin_chunk(65 * kMiB, 0);
    EXPECT_EQ(rows.bytes(), kLayers * 66 * kMiB) << "of what was before nothing is left";
    const auto third = places();
    rows.leave(-1);
    EXPECT_EQ(rows.bytes(), 0);
    for (const std::uint8_t* place : third) EXPECT_FALSE(is_memory(place));
    EXPECT_LE(reserved(), torch_before);
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
