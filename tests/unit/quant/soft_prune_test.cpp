// Pruned latents: which rows a page keeps, and that attention sees every token of a dropped latent as the mean key at
// the place of the middle token.
#include "quant/format.hpp"
#include "tests/unit/quant/cache_oracle.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <vector>

namespace wander::test {
namespace {

const quant::PageFormat& soft4() { return *quant::FormatRegistry::instance().find("soft4"); }

constexpr quant::PageShape kShape{48, 2, 32, true, at::kFloat, 12};

at::Tensor rows_of(const at::Tensor& page, const quant::EncodeOptions& options, quant::StoredLatent stored) {
    at::Tensor out = at::empty({kShape.heads, stored.rows, kShape.head_dim}, at::kFloat);
    for (int head = 0; head < kShape.heads; ++head) {
        soft4().decode_rows(page.data_ptr<std::uint8_t>(), kShape, options, head, stored.row, stored.row + stored.rows,
                            out[head].data_ptr<float>());
    }
    return out.transpose(0, 1);
}

TEST(SoftPrune, KeepsWhatItIsToldAndTheMeanOfTheRest) {
    at::manual_seed(1);
    const at::Tensor source = at::randn({kShape.tokens, kShape.heads, kShape.head_dim}) + 2;
    quant::EncodeOptions options;
    options.kept = 0b1001;
    at::Tensor page = at::empty({soft4().bytes(kShape, options).total()}, at::kByte);
    soft4().encode(source, kShape, options, page);
    for (int latent = 0; latent < 4; ++latent) {
        const at::Tensor rows = source.narrow(0, latent * 12, 12);
        const quant::StoredLatent stored = soft4().stored(kShape, options, latent);
        const at::Tensor got = rows_of(page, options, stored);
        if (latent == 0 || latent == 3) {
            EXPECT_EQ(stored.rows, 12);
            EXPECT_EQ(stored.row, latent == 0 ? 0 : 12);
            EXPECT_EQ(stored.log_weight, 0.0F);
            // Groups of 32 values, 15 steps: about 6e-3 of the variance, which is a fifth of the energy.
            EXPECT_LT(relative_error(got, rows), 0.12);
        } else {
            EXPECT_EQ(stored.rows, 1);
            EXPECT_EQ(stored.row, 24 + latent - 1);
            EXPECT_FLOAT_EQ(stored.log_weight, std::log(12.0F));
            EXPECT_LT(relative_error(got, rows.mean(0, true)), 5e-3); // bfloat16
        }
    }
    const quant::PageBytes all = soft4().bytes(kShape, {});
    EXPECT_EQ(all.codebooks, 0);
    EXPECT_EQ(soft4().bytes(kShape, options).codebooks, 2 * kShape.heads * kShape.head_dim * 2);
    EXPECT_LT(soft4().bytes(kShape, options).total(), all.total());
}

// Rows of one latent whose rotation gives, at every place, what the first of them gives at the place of the middle
// token.
at::Tensor at_the_middle(const quant::ReadView& view, const at::Tensor& rows) {
    const std::int64_t tokens = rows.size(0);
    const at::Tensor space = view.space_angles;
    const at::Tensor missing = space.narrow(0, tokens / 2, 1) - space; // [tokens, space pairs]
    const std::int64_t time_pairs = rows.size(2) / 2 - space.size(1);
    const at::Tensor angle = at::cat({at::zeros({tokens, time_pairs}, at::kDouble), missing}, 1).unsqueeze(1);
    const at::Tensor pairs = rows.to(at::kDouble).reshape({tokens, rows.size(1), -1, 2});
    const at::Tensor x = pairs.select(3, 0);
    const at::Tensor y = pairs.select(3, 1);
    return at::stack({x * angle.cos() - y * angle.sin(), x * angle.sin() + y * angle.cos()}, 3).reshape(rows.sizes());
}

TEST(SoftPrune, AttentionSeesTheMeanAtTheMiddleForEveryToken) {
    CacheSetup setup;
    setup.shape = {.layers = 2,
                   .heads = 2,
                   .head_dim = 32,
                   .tokens_per_latent = 12,
                   .page_latents = 4,
                   .sink_latents = 1,
                   .window_latents = 10};
    setup.time_pairs = 6;
    setup.policy.format = "soft4";
    auto made = quant::KvCache::create(setup.shape, setup.policy, setup.device, setup.compute);
    ASSERT_TRUE(made) << made.error().message;
    quant::KvCache& cache = **made;
    int dropped = 0;
    double worst = 0;
    for (std::int64_t n = 0; n < 18; ++n) {
        const auto history = cache.visible_history(n);
        const quant::ReadView view = random_view(setup, history, n, 1, static_cast<std::uint64_t>(n));
        cache.begin_chunk(view);
        for (int layer = 0; layer < setup.shape.layers; ++layer) {
            const auto base = static_cast<std::uint64_t>(n * 100 + layer * 3);
            const at::Tensor q = random_rows(setup, 1, base);
            const at::Tensor k = random_rows(setup, 1, base + 1);
            const at::Tensor v = random_rows(setup, 1, base + 2);
            const at::Tensor values = visible_values(cache, setup, layer, history, false);
            std::vector<at::Tensor> keys = {at::empty({0, setup.shape.heads, setup.shape.head_dim}, at::kDouble)};
            std::vector<at::Tensor> turned = keys;
            for (const std::int64_t latent : history) {
                const at::Tensor rows = cache.read_keys(layer, latent, 1);
                const bool one_row = rows.equal(rows.narrow(0, 0, 1).expand_as(rows));
                dropped += one_row ? 1 : 0;
                keys.push_back(rows.to(at::kDouble));
                turned.push_back(one_row ? at_the_middle(view, rows) : keys.back());
            }
            const at::Tensor got = cache.attend(layer, q, k, v);
            const at::Tensor rotary = dense_attention(setup, view, at::cat(turned, 0), values, q, k, v)[0];
            const at::Tensor projective = dense_attention(setup, view, at::cat(keys, 0), values, q, k, v)[1];
            worst = std::max({worst, relative_error(got[0], rotary), relative_error(got[1], projective)});
            cache.write(layer, k, v);
        }
        cache.commit();
    }
    EXPECT_GT(dropped, 10);
    EXPECT_LT(worst, 1e-5);
}

TEST(SoftPrune, RefusesPagesOfTooManyLatents) {
    const auto refused = soft4().supports({40 * 12, 2, 32, true, at::kFloat, 12});
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("32 latents"), std::string::npos);
    EXPECT_FALSE(soft4().supports({48, 2, 20, true, at::kFloat, 12}));
    EXPECT_TRUE(soft4().supports(kShape));
}

} // namespace
} // namespace wander::test
