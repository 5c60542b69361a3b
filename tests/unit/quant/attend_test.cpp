// attend() against one dense softmax in double precision.
#include "tests/unit/quant/cache_oracle.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace wander::test {
namespace {

CacheSetup small_setup() {
    CacheSetup setup;
    setup.shape = {.layers = 2,
                   .heads = 3,
                   .head_dim = 16,
                   .tokens_per_latent = 6,
                   .page_latents = 4,
                   .sink_latents = 1,
                   .window_latents = 5};
    return setup;
}

TEST(Attend, DoubleEqualsDenseSoftmax) {
    CacheSetup setup = small_setup();
    setup.compute = at::kDouble;
    EXPECT_LT(worst_of_walk(setup, 12, 1), 1e-6); // matrices and positions are float32
}

TEST(Attend, FloatEqualsDenseSoftmax) { EXPECT_LT(worst_of_walk(small_setup(), 12, 1), 1e-5); }

TEST(Attend, ChunksOfSeveralLatentsStraddlePages) {
    CacheSetup setup = small_setup();
    EXPECT_LT(worst_of_walk(setup, 7, 3), 1e-5);
    setup.shape.sink_latents = 0;
    EXPECT_LT(worst_of_walk(setup, 7, 3), 1e-5);
    setup.shape.window_latents = 0;
    EXPECT_LT(worst_of_walk(setup, 5, 2), 1e-5);
}

TEST(Attend, WithoutProjectiveBranch) {
    CacheSetup setup = small_setup();
    setup.prope = false;
    EXPECT_LT(worst_of_walk(setup, 8, 1), 1e-5);
}

TEST(Attend, Bfloat16StaysNearDenseSoftmax) {
    CacheSetup setup = small_setup();
    setup.compute = at::kBFloat16;
    EXPECT_LT(worst_of_walk(setup, 12, 1), 2e-2);
}

TEST(Attend, EmbeddedWorldShapeFloat) { EXPECT_LT(worst_of_walk(embedded_setup(), 7, 1), 1e-5); }

TEST(Attend, EmbeddedWorldShapeBfloat16) {
    CacheSetup setup = embedded_setup();
    setup.compute = at::kBFloat16;
    EXPECT_LT(worst_of_walk(setup, 7, 1), 2e-2);
}

// FP8 attention emulated: some percent away from the softmax, packed pages and both branches included.
TEST(Attend, EmulatedFp8StaysNearDenseSoftmax) {
    for (const char* format : {"bf16", "int2"}) {
        for (const bool prope : {true, false}) {
            CacheSetup setup = embedded_setup();
            setup.compute = at::kBFloat16;
            setup.prope = prope;
            setup.policy.format = format;
            setup.policy.attention = quant::AttentionType::fp8_emulated;
            const double off = worst_of_walk(setup, 7, 1);
            EXPECT_LT(off, 1.5e-1) << format << prope; // of the largest value; each of three operands has 4 bits
            EXPECT_GT(off, 2.1e-2) << format << prope << ": nothing was rounded";
        }
    }
    CacheSetup wrong = embedded_setup();
    wrong.policy.attention = quant::AttentionType::fp8_emulated;
    EXPECT_FALSE(quant::KvCache::create(wrong.shape, wrong.policy, at::kCPU, at::kFloat));
    wrong.policy.bias_correction = true;
    EXPECT_FALSE(quant::KvCache::create(wrong.shape, wrong.policy, at::kCPU, at::kBFloat16));
}

CacheSetup one_branch_in_fp8(int tokens) {
    CacheSetup setup = small_setup();
    setup.shape.tokens_per_latent = tokens;
    setup.shape.layers = 1;
    setup.prope = false;
    setup.compute = at::kBFloat16;
    setup.policy.attention = quant::AttentionType::fp8_emulated;
    return setup;
}

// Where one key is all there is to see its value comes back as E4M3 has it: the chunk's largest becomes 224.
TEST(Attend, EmulatedFp8RoundsValuesByTheirLargest) {
    const CacheSetup setup = one_branch_in_fp8(1);
    const auto cache = make_cache(setup);
    cache->begin_chunk(random_view(setup, {}, 0, 1, 1));
    const at::Tensor q = random_rows(setup, 1, 1);
    at::Tensor v = at::zeros({1, 3, 16}, at::kBFloat16);
    v[0][0][0] = 3.5F;  // becomes 224
    v[0][0][1] = 1.0F;  // 64
    v[0][1][0] = 1.03F; // of 60, 64, 72 the nearest is 64
    v[0][2][3] = -2.3F; // 147.2: of 144 and 160 the nearer one
    const at::Tensor got = cache->attend(0, q, q, v)[0].to(at::kDouble);
    EXPECT_DOUBLE_EQ(got[0][0][0].item<double>(), 3.5);
    EXPECT_DOUBLE_EQ(got[0][0][1].item<double>(), 1.0);
    EXPECT_DOUBLE_EQ(got[0][1][0].item<double>(), 1.0);
    EXPECT_DOUBLE_EQ(got[0][2][3].item<double>(), -2.25);
}

// Scores that grow from tile to tile (the last keys come first) by more than a stored probability has room for, and by
// more than half precision has: two levels come together then, of which the higher alone counts.
TEST(Attend, EmulatedFp8FollowsScoresThatGrow) {
    for (const double most : {4.0, 16.0, 256.0, 16384.0}) {
        const CacheSetup setup = one_branch_in_fp8(700);
        const auto cache = make_cache(setup);
        quant::ReadView view = random_view(setup, {}, 0, 1, 1);
        view.space_angles.zero_();
        cache->begin_chunk(view);
        // Scores and values are powers of two, so that only probabilities are rounded.
        const at::Tensor place = at::arange(700), odd = place.remainder(2);
        const at::Tensor level =
            at::where(place < 140, 1 - 0.5 * odd, at::where(place < 420, 0.25, -1)).to(at::kDouble);
        const at::Tensor value = at::where(place < 140, 4 - 3 * odd, at::where(place < 420, -2, 0.5)).to(at::kDouble);
        const auto rows = [&setup](const at::Tensor& of) {
            return of.view({700, 1, 1}).expand({700, setup.shape.heads, 16}).to(at::kBFloat16).contiguous();
        };
        const at::Tensor q = rows(at::ones({700}, at::kDouble)), k = rows(level * (most / 4)), v = rows(value);
        const at::Tensor got = cache->attend(0, q, k, v)[0].to(at::kDouble).select(0, 0);
        const double mean = at::dot((level * most).softmax(0), value).item<double>(); // divided by the root of 16
        const at::Tensor wanted = at::full_like(got, mean);
        const double off = ((got - wanted).norm() / wanted.norm()).item<double>();
        EXPECT_TRUE(off < 3e-2) << most << ": " << off;
    }
}

// With two branches a chunk's passes share the factors of keys and values that the first one measured, as Hopper's
// kernel has them, whose expanded history stays from pass to pass. What is begun anew is measured anew.
TEST(Attend, EmulatedFp8MeasuresOnceABeginning) {
    CacheSetup setup = embedded_setup();
    setup.compute = at::kBFloat16;
    setup.policy.attention = quant::AttentionType::fp8_emulated;
    for (const bool prope : {true, false}) {
        setup.prope = prope;
        const auto cache = make_cache(setup);
        const quant::ReadView view = random_view(setup, {}, 0, 1, 1);
        const auto pass = [&](std::uint64_t seed, double size) {
            const at::Tensor k = random_rows(setup, 1, seed) * size, v = random_rows(setup, 1, seed + 1) * size;
            return cache->attend(0, random_rows(setup, 1, seed + 2), k, v);
        };
        cache->begin_chunk(view);
        const at::Tensor alone = pass(10, 1);
        cache->begin_chunk(view);
        (void)pass(20, 1.37);
        EXPECT_EQ(pass(10, 1).equal(alone), !prope);
        cache->begin_chunk(view);
        EXPECT_TRUE(pass(10, 1).equal(alone));
    }
}

// A text is read in front of everything, by both branches as it is; more and fewer tokens than a tile or a latent has.
TEST(Attend, TextInFrontIsNeverTurned) {
    for (const int tokens : {1, 5, 40, 300}) {
        CacheSetup setup = small_setup();
        setup.text_tokens = tokens;
        EXPECT_LT(worst_of_walk(setup, 7, 2), 1e-5) << tokens;
        setup.prope = false;
        EXPECT_LT(worst_of_walk(setup, 7, 2), 1e-5) << tokens;
        setup.prope = true;
        setup.compute = at::kDouble;
        EXPECT_LT(worst_of_walk(setup, 7, 2), 1e-6) << tokens;
        setup.compute = at::kBFloat16;
        EXPECT_LT(worst_of_walk(setup, 7, 2), 2e-2) << tokens;
    }
}

TEST(Attend, TextBesidePackedPages) {
    for (const char* format : {"int2", "qvg-int2", "fp8"}) {
        CacheSetup setup = embedded_setup();
        setup.text_tokens = 50;
        setup.policy.format = format;
        EXPECT_LT(worst_of_walk(setup, 8, 1), 1e-5) << format;
    }
}

TEST(Attend, TextStaysOverClearAndMayChangeBetweenPasses) {
    CacheSetup setup = small_setup();
    setup.text_tokens = 9;
    const auto cache = make_cache(setup);
    EXPECT_LT(step_and_compare(*cache, setup, 0, 2, 1), 1e-5);
    cache->clear();
    EXPECT_LT(step_and_compare(*cache, setup, 0, 2, 2), 1e-5);
    EXPECT_LT(step_and_compare(*cache, setup, 2, 2, 3), 1e-5);
    cache->set_text({});
    EXPECT_GT(step_and_compare(*cache, setup, 4, 2, 4), 1e-3) << "this case does not depend on its text";
    setup.text_tokens = 0;
    EXPECT_LT(step_and_compare(*cache, setup, 6, 2, 5), 1e-5);
}

// Two texts need not be there at once, and neither is part of what the pages hold.
TEST(Attend, TheLedgerCountsTheTextApart) {
    CacheSetup setup = small_setup();
    const auto bare = make_cache(setup);
    EXPECT_EQ(bare->ledger().text_bytes, 0);
    setup.text_tokens = 9;
    const auto cache = make_cache(setup);
    const std::int64_t bytes = std::int64_t{2} * setup.shape.layers * 9 * setup.shape.heads * setup.shape.head_dim *
                               static_cast<std::int64_t>(c10::elementSize(setup.compute));
    EXPECT_EQ(cache->ledger().text_bytes, bytes);
    EXPECT_EQ(cache->ledger().bytes(), 0);
    cache->clear();
    EXPECT_EQ(cache->ledger().text_bytes, bytes) << "it stays";
    cache->set_text({});
    EXPECT_EQ(cache->ledger().text_bytes, 0);
}

// Gaps inside pages and between them, packed pages too; what is chosen must be there, in order.
TEST(Attend, ReadsTheChosenHistoryAlone) {
    CacheSetup setup = small_setup();
    setup.shape.window_latents = 0;
    const std::vector<std::int64_t> all = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    for (const int sink : {0, 1, 4}) {
        setup.shape.sink_latents = sink;
        for (const auto& chosen : {std::vector<std::int64_t>{}, {3}, {0, 1, 2, 6, 7, 9, 11}, all})
            EXPECT_LT(error_of_chosen(setup, 6, chosen), 1e-5) << sink << ", " << chosen.size();
    }
    setup.text_tokens = 7;
    setup.policy.format = "int2";
    EXPECT_LT(error_of_chosen(setup, 6, {0, 2, 3, 8, 11}), 1e-5);
    EXPECT_THROW(error_of_chosen(setup, 6, {0, 12}), std::invalid_argument);
    EXPECT_THROW(error_of_chosen(setup, 6, {2, 1}), std::invalid_argument);
    EXPECT_THROW(error_of_chosen(setup, 6, {1, 1}), std::invalid_argument);
}

TEST(Attend, RefusesTextOfAnotherShape) {
    CacheSetup setup = small_setup();
    const auto cache = make_cache(setup);
    setup.text_tokens = 3;
    EXPECT_THROW(cache->set_text({random_text(setup, 0)}), c10::Error) << "one layer of two";
    const quant::TextRows rows = random_text(setup, 0);
    EXPECT_THROW(cache->set_text({rows, {rows.keys.narrow(0, 0, 2), rows.values}}), c10::Error);
    EXPECT_THROW(cache->set_text({rows, {rows.keys.to(at::kDouble), rows.values}}), c10::Error);
}

TEST(Attend, ManyQueryBlocksAndTiles) {
    CacheSetup setup = small_setup();
    setup.shape = {.layers = 1,
                   .heads = 2,
                   .head_dim = 32,
                   .tokens_per_latent = 150,
                   .page_latents = 2,
                   .sink_latents = 2,
                   .window_latents = 3};
    EXPECT_LT(worst_of_walk(setup, 4, 2), 1e-5);
}

} // namespace
} // namespace wander::test
