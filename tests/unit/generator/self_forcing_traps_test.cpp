// Mistakes that are easily made with this network (self-forcing.md 14), each caught by itself. Time embedding, sampler,
// rotation and masks have theirs in dit_property_test.cpp and in the parity tests.

#include "generator/nn/rows.hpp"
#include "generator/wan/dit_weights.hpp"
#include "tests/unit/generator/small_dit.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

namespace wander {
namespace {

using test::cache_for;
using test::kCols;
using test::kRows;
using test::random_weight;
using test::small_config;
using test::small_dit;

double difference(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

// One chunk of two latents; `before` denoise passes of other noise and time, then, with `context`, its clean pass.
class Walk {
public:
    explicit Walk(const WanDit& dit) : dit_(dit), cache_(cache_for(dit.config(), 2, 0, 0)) {}

    void begin(std::int64_t first) {
        quant::ReadView view;
        view.first_latent = first;
        view.latents = 2;
        for (const std::int64_t latent : cache_->visible_history(first))
            view.history_positions.push_back(static_cast<float>(latent));
        view.new_positions = {static_cast<float>(first), static_cast<float>(first + 1)};
        dit_.fill_rope(view, kRows / 2, kCols / 2);
        cache_->begin_chunk(view);
    }
    at::Tensor pass(std::uint64_t noise, double time, bool context = false) {
        DitPass pass;
        pass.latents = gaussian_tensor(noise, {2, 16, kRows, kCols});
        pass.timesteps = {time, time};
        pass.context = context;
        return dit_.forward(pass, *cache_);
    }
    void commit() { cache_->commit(); }

private:
    const WanDit& dit_;
    std::unique_ptr<quant::KvCache> cache_;
};

// Trap 3: the RMS of queries and keys is taken over all heads together.
TEST(SelfForcingTraps, RmsRunsOverAllChannels) {
    const c10::InferenceMode inference;
    const DitConfig config = small_config();
    const WanDit dit = small_dit(config);
    const WanDit::Weights& w = dit.weights();
    const at::Tensor x = gaussian_tensor(5, {6, config.dim}).to(at::kDouble);
    const auto qkv = w.project(w.blocks[1], {x, {}}, true);
    const std::string name = "blocks.1.self_attn.";
    const at::Tensor q = at::linear(x, random_weight(name + "q.weight", {config.dim, config.dim}),
                                    random_weight(name + "q.bias", {config.dim}));
    const at::Tensor weight = random_weight(name + "norm_q.weight", {config.dim});
    const auto heads = [&](const at::Tensor& rows) { return rows.view({-1, config.heads, config.head_dim}); };
    const at::Tensor together = q * at::rsqrt(q.square().mean(-1, true) + config.eps) * weight;
    EXPECT_LE(difference(qkv.q, heads(together)), 1e-12);
    const at::Tensor apart =
        heads(q) * at::rsqrt(heads(q).square().mean(-1, true) + config.eps) * heads(weight.unsqueeze(0));
    EXPECT_GT(difference(qkv.q, apart), 1e-2);
}

// Trap 5: patches come in as (channel, dy, dx) and leave as (dy, dx, channel).
TEST(SelfForcingTraps, PatchesGoInAndOutInTheirOwnOrders) {
    const c10::InferenceMode inference;
    const DitConfig config = small_config();
    const WanDit dit = small_dit(config);
    const at::Tensor weight = random_weight("patch_embedding.weight", {config.dim, 16, 1, 2, 2});
    const at::Tensor bias = random_weight("patch_embedding.bias", {config.dim});
    at::Tensor latents = at::zeros({1, 16, kRows, kCols}, at::kDouble);
    latents.select(1, 5).select(1, 3).select(1, 4).fill_(1); // channel 5, row 3 = dy 1 of the second, column 4 = dx 0
    const at::Tensor tokens = dit.weights().embed_patches(latents);
    const std::int64_t token = (3 / 2) * (kCols / 2) + 4 / 2;
    EXPECT_LE(difference(tokens[token], weight.select(1, 5).select(1, 0).select(1, 1).select(1, 0) + bias), 1e-12);

    at::Tensor out = at::zeros({kRows * kCols / 4, 64}, at::kDouble);
    out[token][(1 * 2 + 0) * 16 + 5] = 1.0;
    EXPECT_LE(difference(dit.weights().unpatchify(out, 1, kRows, kCols), latents), 0);
}

// Trap 6: a new text reaches every layer at once, and padding counts.
TEST(SelfForcingTraps, ANewTextTakesTheOldOnesPlace) {
    const c10::InferenceMode inference;
    const DitConfig config = small_config();
    WanDit changed = small_dit(config), fresh = small_dit(config);
    const at::Tensor first = gaussian_tensor(7, {3, config.text_dim}),
                     second = gaussian_tensor(8, {5, config.text_dim});
    const auto velocity = [](const WanDit& dit) {
        Walk walk(dit);
        walk.begin(0);
        return walk.pass(1, 900);
    };
    changed.set_text(first);
    const at::Tensor before = velocity(changed);
    changed.set_text(second);
    fresh.set_text(second);
    EXPECT_EQ(difference(velocity(changed), velocity(fresh)), 0);
    EXPECT_GT(difference(velocity(changed), before), 1e-4);
    // The same text with one more row of zeros is the same padded text.
    fresh.set_text(at::cat({second, at::zeros({1, config.text_dim})}));
    EXPECT_LE(difference(velocity(changed), velocity(fresh)), 1e-10);
    // A text that fills every position has no padding.
    const at::Tensor full = at::cat({second, at::zeros({2, config.text_dim})});
    fresh.set_text(full);
    EXPECT_LE(difference(velocity(changed), velocity(fresh)), 1e-10);
}

// Trap 8: however many noisy passes a chunk had, what history holds of it is its context pass.
TEST(SelfForcingTraps, NoisyPassesLeaveNoTrace) {
    const c10::InferenceMode inference;
    const WanDit dit = small_dit(small_config());
    at::Tensor expected;
    for (const int noisy : {0, 1, 4}) {
        Walk walk(dit);
        walk.begin(0);
        for (int i = 0; i < noisy; ++i) walk.pass(static_cast<std::uint64_t>(20 + i), 1000 - 100.0 * i);
        walk.pass(2, 0, true);
        walk.commit();
        walk.begin(2);
        const at::Tensor velocity = walk.pass(3, 800);
        if (noisy == 0) expected = velocity;
        EXPECT_EQ(difference(velocity, expected), 0) << noisy;
    }
    // The context pass is not what the last noisy pass would have left.
    Walk other(dit);
    other.begin(0);
    other.pass(2, 500, true);
    other.commit();
    other.begin(2);
    EXPECT_GT(difference(other.pass(3, 800), expected), 1e-6);
}

// A chunk cannot become history without its context pass.
TEST(SelfForcingTraps, TheContextPassIsNotOptional) {
    const c10::InferenceMode inference;
    const WanDit dit = small_dit(small_config());
    Walk walk(dit);
    walk.begin(0);
    walk.pass(1, 1000);
    EXPECT_THROW(walk.commit(), c10::Error);
}

} // namespace
} // namespace wander
