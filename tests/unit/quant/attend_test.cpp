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
