// The plain operations of a block: gradients against central differences in double (relative 1e-6), attention against
// one product over all rows with a mask (1e-12).

#include "generator/train/ops.hpp"
#include "tests/unit/train/block_inputs.hpp"

#include <gtest/gtest.h>

#include <functional>

namespace wander::train {
namespace {

using test::BlockInputs, test::BlockSize;
using Tensors = std::vector<at::Tensor>;

constexpr double kEps = 1e-6;

// Every result weighed with fixed noise and added up.
at::Tensor weighed(const Tensors& results) {
    at::Tensor sum;
    std::uint64_t seed = 100;
    for (const at::Tensor& result : results) {
        const at::Tensor part = (result * test::noise(++seed, result.sizes().vec(), result.options())).sum();
        sum = sum.defined() ? sum + part : part;
    }
    return sum;
}

// Moves each input along a direction of its own and compares the slope with what backward says.
void expect_gradients(const std::function<Tensors(const Tensors&)>& operation, const Tensors& inputs) {
    Tensors leaves;
    for (const at::Tensor& input : inputs) leaves.push_back(input.detach().clone().requires_grad_(true));
    weighed(operation(leaves)).backward();
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        const at::Tensor direction = test::noise(200 + i, inputs[i].sizes().vec(), inputs[i].options());
        constexpr double kStep = 1e-5;
        const auto at_step = [&](double step) {
            Tensors moved = inputs;
            moved[i] = moved[i] + step * direction;
            return weighed(operation(moved)).item<double>();
        };
        const double measured = (at_step(kStep) - at_step(-kStep)) / (2 * kStep);
        ASSERT_TRUE(leaves[i].grad().defined()) << "input " << i;
        const double wanted = (leaves[i].grad() * direction).sum().item<double>();
        EXPECT_NEAR(measured, wanted, 1e-6 * (1 + std::abs(wanted))) << "input " << i;
        EXPECT_GT(std::abs(wanted), 1e-3) << "input " << i << " moves nothing";
    }
}

BlockInputs double_inputs() {
    return test::block_inputs({2, 3, 4, 2}, at::TensorOptions().dtype(at::kDouble), at::kDouble);
}

TEST(TrainOps, NormModulateHasTheRightGradient) {
    const BlockInputs in = double_inputs();
    expect_gradients([](const Tensors& i) { return Tensors{norm_modulate(i[0], i[1], i[2], kEps, at::kDouble)}; },
                     {in.x, in.shift, in.scale});
}

TEST(TrainOps, RotateQkvHasTheRightGradient) {
    const BlockInputs in = double_inputs();
    expect_gradients(
        [&](const Tensors& i) {
            const TurnedQkv turned = rotate_qkv(i[0], i[1], i[2], in.turns, kEps);
            return Tensors{turned.q, turned.k, turned.v};
        },
        {in.qkv, in.norm_q, in.norm_k});
}

TEST(TrainOps, UnrotateHasTheRightGradient) {
    const BlockInputs in = double_inputs();
    expect_gradients([&](const Tensors& i) { return Tensors{unrotate_joined(i[0], in.turns.camera)}; }, {in.q});
}

TEST(TrainOps, GatedAddNormHasTheRightGradient) {
    const BlockInputs in = double_inputs();
    expect_gradients(
        [](const Tensors& i) {
            const AddedAndNormed result = gated_add_norm(i[0], i[1], i[2], i[3], i[4], kEps, at::kDouble);
            return Tensors{result.x, result.h};
        },
        {in.x, in.y, in.gate, in.shift, in.scale});
}

TEST(TrainOps, ClipAttentionHasTheRightGradient) {
    const BlockInputs in = double_inputs();
    expect_gradients([](const Tensors& i) { return Tensors{clip_attention(i[0], i[1], i[2], 3, 4)}; },
                     {in.q, in.k, in.v});
}

TEST(TrainOps, ClipAttentionEqualsAMaskedProduct) {
    const BlockInputs in = double_inputs();
    constexpr std::int64_t kLatents = 3, kTokens = 4, kRow = 1 + 2 * kLatents;
    at::Tensor mask = at::zeros({kRow, kRow}, at::kBool);
    for (std::int64_t query = 0; query < kRow; ++query) {
        for (std::int64_t key = 0; key < kRow; ++key) {
            const bool noisy_query = query > kLatents, noisy_key = key > kLatents;
            const std::int64_t query_time = noisy_query ? query - kLatents : query;
            const bool seen = noisy_query ? (noisy_key ? key == query : key < query_time) : !noisy_key && key <= query;
            mask[query][key] = seen;
        }
    }
    mask = mask.repeat_interleave(kTokens, 0).repeat_interleave(kTokens, 1);
    const auto heads = [](const at::Tensor& x) { return x.transpose(1, 2); };
    const at::Tensor logits = at::matmul(heads(in.q), heads(in.k).transpose(2, 3)) / 8;
    const at::Tensor weights = logits.masked_fill(mask.logical_not(), -INFINITY).softmax(-1);
    const at::Tensor wanted = at::matmul(weights, heads(in.v)).transpose(1, 2);
    EXPECT_LT((clip_attention(in.q, in.k, in.v, kLatents, kTokens) - wanted).abs().max().item<double>(), 1e-12);
}

TEST(TrainOps, TurnsFollowTheirFormulas) {
    const BlockInputs in = double_inputs();
    const TurnedQkv turned = rotate_qkv(in.qkv, in.norm_q, in.norm_k, in.turns, kEps);
    constexpr std::int64_t kTokens = 4, kHeads = 2;
    const std::int64_t clip = 1, latent = 3, token = 2, head = 1, row = latent * kTokens + token;
    const auto normed = [&](std::int64_t part, const at::Tensor& weight) {
        const at::Tensor all = in.qkv[clip][latent][token].narrow(0, part * kHeads * 64, kHeads * 64);
        return (all / at::sqrt(all.square().mean() + kEps) * weight).narrow(0, head * 64, 64);
    };
    const at::Tensor q = normed(0, in.norm_q), k = normed(1, in.norm_k);
    const at::Tensor v = in.qkv[clip][latent][token].narrow(0, 2 * kHeads * 64 + head * 64, 64);
    const at::Tensor camera = in.turns.camera[clip][latent], inverse = in.turns.camera_inverse[clip][latent];
    const auto by = [](const at::Tensor& matrix, const at::Tensor& x) {
        return at::matmul(x.reshape({16, 4}), matrix.t()).flatten(); // matrix * vector, vectors as rows
    };
    const auto differs = [](const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); };
    EXPECT_LT(differs(turned.q[clip][row][kHeads + head], by(camera.t(), q)), 1e-12);
    EXPECT_LT(differs(turned.k[clip][row][kHeads + head], by(inverse, k)), 1e-12);
    EXPECT_LT(differs(turned.v[clip][row][kHeads + head], by(inverse, v)), 1e-12);
    EXPECT_LT(differs(turned.v[clip][row][head], v), 1e-12);
    for (const std::int64_t pair : {0, 7, 31}) {
        const at::Tensor cos = in.turns.cos[latent][token][pair], sin = in.turns.sin[latent][token][pair];
        const at::Tensor a = k[2 * pair], b = k[2 * pair + 1], got = turned.k[clip][row][head];
        EXPECT_LT(differs(got[2 * pair], a * cos - b * sin), 1e-12);
        EXPECT_LT(differs(got[2 * pair + 1], a * sin + b * cos), 1e-12);
    }
    const Attended back = unrotate(in.q, in.turns.camera);
    EXPECT_LT(differs(back.rope[clip][latent][token].narrow(0, 64, 64), in.q[clip][row][1]), 1e-12);
    EXPECT_LT(differs(back.prope[clip][latent][token].narrow(0, 64, 64), by(camera, in.q[clip][row][kHeads + 1])),
              1e-12);
}

} // namespace
} // namespace wander::train
