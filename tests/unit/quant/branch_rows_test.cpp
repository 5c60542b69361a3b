// Keys and values turned ahead and read as they are, each branch its own, against one dense softmax that turns them.
#include "quant/cache/branch_rows.hpp"
#include "tests/unit/quant/cache_oracle.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstddef>

namespace wander::test {
namespace {

constexpr int kHistory = 5;
constexpr int kChunk = 2;

struct Turned {
    explicit Turned(at::ScalarType compute) {
        setup.compute = compute;
        setup.shape = {.layers = 1, .heads = 3, .head_dim = 16, .tokens_per_latent = 6, .page_latents = 4};
        view = random_view(setup, {0, 1, 2, 3, 4}, kHistory, kChunk, 3);
        keys = random_rows(setup, kHistory, 11);
        values = random_rows(setup, kHistory, 12);
        // The pass that made them: they were its new latents, at the same positions and cameras.
        pass = view;
        pass.first_latent = 0;
        pass.latents = kHistory;
        pass.new_positions = view.history_positions;
        pass.history_positions.clear();
        pass.new_inverse = pass.new_projection = view.history_inverse;
        pass.history_inverse = at::empty({0, 4, 4});
    }

    quant::TextRows rows(int first, int latents) const {
        const std::int64_t tokens = setup.shape.tokens_per_latent;
        return branch_rows(pass, setup.shape, first, latents, keys.narrow(0, first * tokens, latents * tokens),
                           values.narrow(0, first * tokens, latents * tokens));
    }

    // Of a chunk that reads `history` in front of itself.
    double error(const quant::TextRows& history) const {
        const auto cache = make_cache(setup);
        cache->set_text({history});
        quant::ReadView alone = view;
        alone.first_latent = 0;
        alone.history_positions.clear();
        alone.history_inverse = at::empty({0, 4, 4});
        cache->begin_chunk(alone);
        const at::Tensor q = random_rows(setup, kChunk, 21), k = random_rows(setup, kChunk, 22),
                         v = random_rows(setup, kChunk, 23);
        return relative_error(cache->attend(0, q, k, v), dense_attention(setup, view, keys, values, q, k, v));
    }

    CacheSetup setup;
    quant::ReadView view, pass;
    at::Tensor keys, values;
};

TEST(BranchRows, ReadAsTheyAreTheyAreTheHistory) {
    for (const auto& [compute, tolerance] : {std::pair{at::kDouble, 1e-6}, {at::kFloat, 1e-5}, {at::kBFloat16, 2e-2}}) {
        const Turned turned(compute);
        const quant::TextRows rows = turned.rows(0, kHistory);
        EXPECT_LT(turned.error(rows), tolerance) << compute;
        EXPECT_GT(turned.error({rows.keys.flip(0).contiguous(), rows.values}), 0.1) << compute;
        EXPECT_GT(turned.error({rows.keys, rows.values.flip(0).contiguous()}), 0.1) << compute;
    }
}

TEST(BranchRows, LatentsMayComeOneAfterAnother) {
    const Turned turned(at::kBFloat16);
    const quant::TextRows whole = turned.rows(0, kHistory), head = turned.rows(0, 2), tail = turned.rows(2, 3);
    EXPECT_TRUE(at::equal(at::cat({head.keys, tail.keys}, 1), whole.keys));
    EXPECT_TRUE(at::equal(at::cat({head.values, tail.values}, 1), whole.values));
}

// Rows of one branch, of another shape than the keys', or of too many branches are no history.
TEST(BranchRows, OthersAreRefused) {
    const Turned turned(at::kFloat);
    const quant::TextRows rows = turned.rows(0, kHistory);
    EXPECT_THROW(turned.error({rows.keys, rows.values[0].contiguous()}), c10::Error);
    EXPECT_THROW(turned.error({rows.keys.narrow(0, 0, 1), rows.values.narrow(0, 0, 1)}), c10::Error);
    EXPECT_THROW(turned.rows(3, 3), std::exception);
}

} // namespace
} // namespace wander::test
