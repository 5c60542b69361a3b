// The correction of packed keys' logits (quant/cache/logit_bias.hpp) against its formula in double precision, and what
// it is for: the share of attention that noisy keys take.
#include "quant/cache/logit_bias.hpp"

#include "tests/unit/quant/cache_oracle.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace wander::test {
namespace {

CacheSetup noisy_setup() {
    CacheSetup setup;
    setup.shape = {.layers = 1,
                   .heads = 3,
                   .head_dim = 64,
                   .tokens_per_latent = 50,
                   .page_latents = 4,
                   .sink_latents = 1,
                   .window_latents = 12};
    setup.time_pairs = 12;
    setup.policy.format = "qvg-int2"; // the noisiest grid
    setup.policy.centroids = 1;
    setup.policy.bias_correction = true;
    return setup;
}

// A cache of `latents` latents, and the keys that were written to it.
struct Filled {
    std::unique_ptr<quant::KvCache> cache;
    std::vector<at::Tensor> keys; // one a latent
};

Filled fill(const CacheSetup& setup, int latents) {
    auto made = quant::KvCache::create(setup.shape, setup.policy, setup.device, setup.compute);
    EXPECT_TRUE(made) << (made ? "" : made.error().message);
    Filled filled{std::move(*made), {}};
    for (int n = 0; n < latents; ++n) {
        filled.cache->begin_chunk(random_view(setup, filled.cache->visible_history(n), n, 1, 1));
        filled.keys.push_back(random_rows(setup, 1, 500 + static_cast<std::uint64_t>(n)));
        filled.cache->write(0, filled.keys.back(), random_rows(setup, 1, 900 + static_cast<std::uint64_t>(n)));
        filled.cache->commit();
    }
    return filled;
}

// Mean squared error over each page's tokens, for every visible history token.
at::Tensor measured_noise(const Filled& filled, const CacheSetup& setup, const std::vector<std::int64_t>& history) {
    const std::int64_t groups = setup.shape.head_dim / quant::kNoiseChannels;
    std::vector<at::Tensor> rows;
    for (const std::int64_t latent : history) {
        at::Tensor noise = at::zeros({setup.shape.heads, groups}, at::kDouble);
        for (const PageCell& cell : filled.cache->pages()) {
            if (latent < cell.first_latent || latent >= cell.first_latent + cell.latents ||
                cell.format != setup.policy.format) {
                continue;
            }
            std::vector<at::Tensor> truth(filled.keys.begin() + cell.first_latent,
                                          filled.keys.begin() + cell.first_latent + cell.latents);
            const at::Tensor error = filled.cache->read_keys(0, cell.first_latent, cell.latents).to(at::kDouble) -
                                     at::cat(truth, 0).to(at::kDouble);
            noise = error.square()
                        .view({error.size(0), setup.shape.heads, groups, quant::kNoiseChannels})
                        .mean(at::IntArrayRef{0, 3});
        }
        rows.push_back(noise.expand({setup.shape.tokens_per_latent, setup.shape.heads, groups}));
    }
    return at::cat(rows, 0);
}

double distance_from_formula(const CacheSetup& setup, double query_size) {
    constexpr int kLatents = 14;
    Filled filled = fill(setup, kLatents);
    const auto history = filled.cache->visible_history(kLatents);
    const quant::ReadView view = random_view(setup, history, kLatents, 1, 3);
    filled.cache->begin_chunk(view);
    const at::Tensor q = random_rows(setup, 1, 1) * query_size;
    const at::Tensor k = random_rows(setup, 1, 2);
    const at::Tensor v = random_rows(setup, 1, 3);
    const at::Tensor noise = measured_noise(filled, setup, history);
    EXPECT_GT(noise.max().item<double>(), 0.05);
    const at::Tensor keys = visible_values(*filled.cache, setup, 0, history, true);
    const at::Tensor values = visible_values(*filled.cache, setup, 0, history, false);
    const at::Tensor got = filled.cache->attend(0, q, k, v);
    // Without the correction the result is another one.
    EXPECT_GT(relative_error(got, dense_attention(setup, view, keys, values, q, k, v)), 1e-2);
    return relative_error(got, dense_attention(setup, view, keys, values, q, k, v, noise));
}

TEST(LogitBias, CorrectedAttentionIsTheFormula) {
    CacheSetup setup = noisy_setup();
    EXPECT_LT(distance_from_formula(setup, 1.0), 1e-4);
    EXPECT_LT(distance_from_formula(setup, 8.0), 1e-4); // far into the cap
    setup.prope = false;
    EXPECT_LT(distance_from_formula(setup, 1.0), 1e-4);
    setup.compute = at::kBFloat16;
    EXPECT_LT(distance_from_formula(setup, 1.0), 2e-2);
}

TEST(LogitBias, NoisyKeysTakeNoMoreThanTheirShare) {
    // Values are 1 in packed pages and 0 elsewhere, so the result is the share of attention that packed keys get.
    const auto packed_share = [](CacheSetup setup, const char* format, bool corrected) {
        setup.policy.format = format;
        setup.policy.bias_correction = corrected;
        setup.prope = false;
        constexpr int kLatents = 13;
        auto made = quant::KvCache::create(setup.shape, setup.policy, setup.device, setup.compute);
        EXPECT_TRUE(made);
        quant::KvCache& cache = **made;
        for (int n = 0; n < kLatents; ++n) {
            cache.begin_chunk(random_view(setup, cache.visible_history(n), n, 1, 1));
            const at::Tensor keys = random_rows(setup, 1, 500 + static_cast<std::uint64_t>(n));
            cache.write(0, keys, at::full_like(keys, n >= 1 && n < 9 ? 1.0 : 0.0));
            cache.commit();
        }
        cache.begin_chunk(random_view(setup, cache.visible_history(kLatents), kLatents, 1, 1));
        const at::Tensor q = random_rows(setup, 1, 1) * 2;
        const at::Tensor own = random_rows(setup, 1, 2);
        return cache.attend(0, q, own, at::zeros_like(own)).mean().item<double>();
    };
    const CacheSetup setup = noisy_setup();
    const double exact = packed_share(setup, "bf16", false);
    const double noisy = packed_share(setup, "qvg-int2", false);
    const double corrected = packed_share(setup, "qvg-int2", true);
    EXPECT_GT(noisy, exact * 1.05);
    EXPECT_LT(std::abs(corrected - exact), 0.6 * (noisy - exact));
}

} // namespace
} // namespace wander::test
