// The kernels of a block against their plain twins in float32, which read the same bfloat16 inputs: results and
// gradients within 0.6 % (norm of the difference over the norm; one rounding to bfloat16 is 0.17 %, attention also
// rounds its weights and their slopes), and no row of a result worse than 3 % of its own and the mean row's norm
// together. The same bytes in a second run.

#include "generator/train/ops_cuda.hpp"
#include "generator/train/ops.hpp"
#include "tests/support/cuda_runtime.hpp"
#include "tests/unit/train/block_inputs.hpp"

#include <gtest/gtest.h>

#include <functional>

namespace wander::train {
namespace {

using test::BlockInputs, test::BlockSize;
using Tensors = std::vector<at::Tensor>;

constexpr double kEps = 1e-6;
constexpr BlockSize kSizes[] = {{2, 3, 84, 5}, {1, 1, 84, 1}, {2, 5, 12, 2},
                                {1, 4, 96, 5}, {3, 2, 33, 5}, {1, 24, 84, 5}};

at::Tensor wide(const at::Tensor& x) { return x.to(at::kFloat); }

struct Outcome {
    Tensors results, gradients;
};

Outcome run(const std::function<Tensors(const Tensors&)>& operation, const Tensors& inputs, bool in_float) {
    Tensors leaves;
    for (const at::Tensor& input : inputs)
        leaves.push_back((in_float ? wide(input) : input).detach().clone().requires_grad_(true));
    Outcome outcome;
    outcome.results = operation(leaves);
    at::Tensor loss;
    std::uint64_t seed = 100;
    for (const at::Tensor& result : outcome.results) {
        // Rounded to bfloat16, so that both ways get one and the same gradient.
        const at::Tensor weight =
            wide(test::noise(++seed, result.sizes().vec(), result.options().dtype(at::kBFloat16)));
        const at::Tensor part = (wide(result) * weight).sum();
        loss = loss.defined() ? loss + part : part;
    }
    loss.backward();
    for (const at::Tensor& leaf : leaves) outcome.gradients.push_back(leaf.grad());
    return outcome;
}

void expect_close(const at::Tensor& got, const at::Tensor& wanted, const std::string& what) {
    ASSERT_TRUE(got.defined() && got.sizes() == wanted.sizes()) << what;
    const at::Tensor difference = (wide(got) - wide(wanted)).detach(), reference = wide(wanted).detach();
    const auto norm = [](const at::Tensor& x) { return x.norm().item<double>(); };
    EXPECT_LT(norm(difference), 0.006 * norm(reference)) << what;
    const at::Tensor rows = difference.norm(2, {-1}), of = reference.norm(2, {-1});
    EXPECT_LT((rows / (of + of.mean())).max().item<double>(), 0.03) << what;
}

class TrainOpsCuda : public testing::TestWithParam<int> {
protected:
    void SetUp() override {
        if (!wander::test::open_cuda()) FAIL() << "no CUDA device";
        size = kSizes[GetParam()];
        in = test::block_inputs(size, at::TensorOptions().dtype(at::kFloat).device(at::kCUDA), at::kBFloat16);
    }

    void compare(const std::function<Tensors(const Tensors&)>& fused,
                 const std::function<Tensors(const Tensors&)>& plain, const Tensors& inputs) {
        const Outcome got = run(fused, inputs, false), again = run(fused, inputs, false),
                      wanted = run(plain, inputs, true);
        for (std::size_t i = 0; i < got.results.size(); ++i) {
            expect_close(got.results[i], wanted.results[i], "result " + std::to_string(i));
            EXPECT_TRUE(at::equal(got.results[i], again.results[i])) << "result " << i;
        }
        for (std::size_t i = 0; i < inputs.size(); ++i) {
            expect_close(got.gradients[i], wanted.gradients[i], "gradient " + std::to_string(i));
            EXPECT_EQ(got.gradients[i].scalar_type(), inputs[i].scalar_type()) << i;
            EXPECT_TRUE(at::equal(got.gradients[i], again.gradients[i])) << "gradient " << i;
        }
    }

    BlockSize size{};
    BlockInputs in;
};

TEST_P(TrainOpsCuda, NormModulate) {
    compare([](const Tensors& i) { return Tensors{norm_modulate(i[0], i[1], i[2], kEps, at::kBFloat16)}; },
            [](const Tensors& i) { return Tensors{plain::norm_modulate(i[0], i[1], i[2], kEps, at::kFloat)}; },
            {in.x, in.shift, in.scale});
}

TEST_P(TrainOpsCuda, GatedAdd) {
    compare([](const Tensors& i) { return Tensors{gated_add(i[0], i[1], i[2])}; },
            [](const Tensors& i) { return Tensors{plain::gated_add(i[0], i[1], i[2])}; }, {in.x, in.y, in.gate});
}

TEST_P(TrainOpsCuda, GatedAddNorm) {
    compare(
        [](const Tensors& i) {
            const AddedAndNormed both = gated_add_norm(i[0], i[1], i[2], i[3], i[4], kEps, at::kBFloat16);
            return Tensors{both.x, both.h};
        },
        [](const Tensors& i) {
            const at::Tensor sum = plain::gated_add(i[0], i[1], i[2]);
            return Tensors{sum, plain::norm_modulate(sum, i[3], i[4], kEps, at::kFloat)};
        },
        {in.x, in.y, in.gate, in.shift, in.scale});
}

TEST_P(TrainOpsCuda, RotateQkv) {
    compare(
        [&](const Tensors& i) {
            const TurnedQkv turned = rotate_qkv(i[0], i[1], i[2], in.turns, kEps);
            return Tensors{turned.q, turned.k, turned.v};
        },
        [&](const Tensors& i) {
            const Tensors parts = i[0].chunk(3, 3);
            const TurnedQkv turned = plain::rotate_qkv(parts[0], parts[1], parts[2], i[1], i[2], in.turns, kEps);
            return Tensors{turned.q, turned.k, turned.v};
        },
        {in.qkv, in.norm_q, in.norm_k});
}

TEST_P(TrainOpsCuda, Unrotate) {
    compare([&](const Tensors& i) { return Tensors{unrotate_joined(i[0], in.turns.camera)}; },
            [&](const Tensors& i) { return Tensors{plain::unrotate_joined(i[0], in.turns.camera)}; }, {in.q});
}

TEST_P(TrainOpsCuda, ClipAttention) {
    compare(
        [&](const Tensors& i) {
            return Tensors{fused::clip_attention(i[0], i[1], i[2], size.latents, size.tokens, false)};
        },
        [&](const Tensors& i) { return Tensors{plain::clip_attention(i[0], i[1], i[2], size.latents, size.tokens)}; },
        {in.q, in.k, in.v});
}

TEST_P(TrainOpsCuda, ClipAttentionOnHopper) {
    if (!wander::test::is_hopper()) GTEST_SKIP() << "made for Hopper GPUs";
    ASSERT_TRUE(fused::has_hopper(in.q));
    compare(
        [&](const Tensors& i) { return Tensors{clip_attention(i[0], i[1], i[2], size.latents, size.tokens)}; },
        [&](const Tensors& i) { return Tensors{plain::clip_attention(i[0], i[1], i[2], size.latents, size.tokens)}; },
        {in.q, in.k, in.v});
}

INSTANTIATE_TEST_SUITE_P(Sizes, TrainOpsCuda, testing::Range(0, static_cast<int>(std::size(kSizes))));

} // namespace
} // namespace wander::train
