// The kernel for the few keys of a text against torch's attention with a mask, in double; the padding kept once against
// the padding in full.

#include "generator/nn/text_attention.hpp"
#include "generator/rollout/noise.hpp"
#include "tests/support/cuda_runtime.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <cmath>

namespace wander::nn {
namespace {

at::Tensor random(std::uint64_t seed, const std::vector<std::int64_t>& shape, at::ScalarType type) {
    return gaussian_tensor(seed * 1000003, shape).to(at::Device(at::kCUDA, 0), type);
}

double relative(const at::Tensor& got, const at::Tensor& expected) {
    return ((got.to(at::kDouble) - expected).norm() / expected.norm()).item<double>();
}

TEST(CrossAttention, EqualsTheMaskedSoftmax) {
    if (!test::open_cuda()) FAIL() << "no CUDA device";
    const c10::InferenceMode inference;
    for (const std::int64_t rows : {4680, 65, 1}) {
        for (const std::int64_t count : {121, 1, 2, 64, 65, 128, 256}) {
            const std::int64_t heads = 3, dim = 128;
            const at::Tensor q = random(1, {rows, heads * dim}, at::kBFloat16) * 3;
            const at::Tensor weight = 1 + 0.2 * random(2, {heads * dim}, at::kFloat);
            for (const std::int64_t padding : {1, 391}) {
                TextKeys text;
                text.keys = random(3, {count, heads, dim}, at::kBFloat16);
                text.values = random(4, {count, heads, dim}, at::kBFloat16);
                text.last_bias = std::log(static_cast<double>(padding));
                prepare_for_kernel(text, weight);
                ASSERT_TRUE(text.weighted.defined());
                // The padding in full.
                const auto in_full = [&](const at::Tensor& rows_of_text) {
                    const at::Tensor last = rows_of_text.narrow(0, count - 1, 1);
                    return at::cat({rows_of_text, last.expand({padding - 1, heads, dim})}).to(at::kDouble);
                };
                TextKeys full{in_full(text.keys), in_full(text.values), {}, 0};
                const at::Tensor expected =
                    plain::text_attention(q.to(at::kDouble), weight.to(at::kDouble), full, 1e-6);
                const double error = relative(text_attention(q, weight, text, 1e-6), expected);
                EXPECT_TRUE(error < 1e-2) << rows << " rows, " << count << " keys, " << padding << ": " << error;
            }
        }
    }
}

// A text too long for the kernel keeps its padding.
TEST(CrossAttention, LongTextsGoTheGeneralWay) {
    if (!test::open_cuda()) FAIL() << "no CUDA device";
    TextKeys text{random(3, {300, 2, 128}, at::kBFloat16), random(4, {300, 2, 128}, at::kBFloat16), {}, 0};
    prepare_for_kernel(text, at::ones({256}, at::TensorOptions().device(at::kCUDA)));
    EXPECT_FALSE(text.weighted.defined());
}

} // namespace
} // namespace wander::nn
