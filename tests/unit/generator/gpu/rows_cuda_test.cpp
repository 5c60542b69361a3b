// The kernels between a block's products against their plain twins: odd widths, rows that lie apart, groups, factors.

#include "generator/nn/linear.hpp"
#include "generator/nn/rows.hpp"
#include "generator/rollout/noise.hpp"
#include "tests/support/cuda_runtime.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <cmath>

namespace wander::nn {
namespace {

constexpr double kEps = 1e-6;
// Both sides compute in float32; a bfloat16 result may fall on the other side of one rounding.
constexpr double kFloat = 4e-6;
constexpr double kBfloat16 = 1.0 / 128;
constexpr double kE4m3 = 1.0 / 14; // a step of three bits of mantissa, half of it on each side

class RowsCuda : public testing::Test {
protected:
    void SetUp() override {
        if (!test::open_cuda()) FAIL() << "no CUDA device";
    }
    c10::InferenceMode inference_;
};

at::Tensor random(std::uint64_t seed, const std::vector<std::int64_t>& shape, at::ScalarType type = at::kFloat) {
    return gaussian_tensor(seed * 1000003, shape).to(at::Device(at::kCUDA, 0), type);
}

// Largest difference over the largest value; NaN where something was not written.
double relative(const at::Tensor& got, const at::Tensor& expected) {
    return ((got.to(at::kDouble) - expected.to(at::kDouble)).abs().max() / expected.to(at::kDouble).abs().max())
        .item<double>();
}

at::Tensor value(const Activation& a) {
    return a.scale.defined() ? a.values.to(at::kFloat) * a.scale : a.values.to(at::kFloat);
}

double tolerance(at::ScalarType type) {
    return type == at::kFloat ? kFloat : type == at::kBFloat16 ? kBfloat16 : kE4m3;
}

struct Size {
    std::int64_t groups, rows, dim;
};

class NormSizes : public RowsCuda, public testing::WithParamInterface<Size> {};

TEST_P(NormSizes, EqualsItsTwin) {
    const auto [groups, rows, dim] = GetParam();
    const at::Tensor shift = random(2, {groups, dim}), scale = 1 + 0.2 * random(3, {groups, dim});
    const at::Tensor gate = random(4, {groups, dim}), row = random(5, {rows * groups, 1}).abs(),
                     column = random(6, {dim}).abs(), bias = random(7, {dim});
    for (const auto out : {at::kFloat, at::kBFloat16, at::kFloat8_e4m3fn}) {
        for (const auto added : {at::kFloat, at::kBFloat16}) {
            for (const bool gated : {false, true}) {
                for (const bool factors : {false, true}) {
                    SCOPED_TRACE(testing::Message() << out << " " << added << " " << gated << factors);
                    at::Tensor fast = random(8, {rows * groups, dim}) + 3, slow = fast.clone();
                    Addend y(random(9, {rows * groups, dim}, added));
                    if (factors) y.row_scale = row, y.column_scale = column, y.bias = bias;
                    const Activation got =
                        add_gated_norm(fast, y, gated ? gate : at::Tensor(), shift, scale, kEps, out);
                    const at::Tensor wide = plain::widen(y);
                    if (gated) {
                        plain::add_gated(slow, wide, gate);
                    } else {
                        slow.add_(wide);
                    }
                    EXPECT_LE(relative(fast, slow), kFloat);
                    const at::Tensor expected = plain::modulated_norm(slow, shift, scale, kEps, at::kFloat);
                    EXPECT_LE(relative(value(got), expected), tolerance(out));
                }
            }
        }
    }
    // Nothing added; one row of shift and scale for all.
    at::Tensor x = random(10, {rows * groups, dim}) * 2 - 1;
    const at::Tensor before = x.clone();
    EXPECT_LE(relative(modulated_norm(x, shift[0].unsqueeze(0), scale[0].unsqueeze(0), kEps, at::kFloat),
                       plain::modulated_norm(x, shift[0].unsqueeze(0), scale[0].unsqueeze(0), kEps, at::kFloat)),
              kFloat);
    EXPECT_TRUE(at::equal(x, before));
    add_gated(x, random(11, {rows * groups, dim}, at::kBFloat16), gate);
    at::Tensor slow = before.clone();
    plain::add_gated(slow, random(11, {rows * groups, dim}, at::kBFloat16), gate);
    EXPECT_LE(relative(x, slow), kFloat);
}

INSTANTIATE_TEST_SUITE_P(Sizes, NormSizes,
                         testing::Values(Size{1, 4680, 1536}, Size{3, 17, 1536}, Size{1, 5, 320}, Size{2, 3, 8},
                                         Size{1, 9, 3072}, Size{6, 4, 1544}, Size{1, 3, 3080}, Size{1, 3, 100}));

TEST_F(RowsCuda, RmsOfRowsThatLieApart) {
    for (const std::int64_t dim : {1536, 320, 3072, 40}) {
        at::Tensor both = random(1, {53, 3 * dim}, at::kBFloat16);
        const at::Tensor first = 1 + 0.2 * random(2, {dim}), second = 1 + 0.2 * random(3, {dim});
        const at::Tensor kept = both.clone();
        const TwoRows got = rms_norm_both({both.narrow(1, 0, dim), both.narrow(1, dim, dim)}, first, second, kEps);
        EXPECT_LE(relative(got.first, plain::rms_norm(kept.narrow(1, 0, dim), first, kEps)), kBfloat16) << dim;
        EXPECT_LE(relative(got.second, plain::rms_norm(kept.narrow(1, dim, dim), second, kEps)), kBfloat16) << dim;
        // What lies behind them is not touched.
        EXPECT_TRUE(at::equal(both.narrow(1, 2 * dim, dim), kept.narrow(1, 2 * dim, dim))) << dim;
        EXPECT_LE(relative(rms_norm(kept.narrow(1, dim, dim), second, kEps), got.second), 1e-12) << dim;
        const at::Tensor wide = random(4, {53, dim});
        EXPECT_LE(relative(rms_norm(wide, first, kEps), plain::rms_norm(wide, first, kEps)), kFloat) << dim;
    }
}

TEST_F(RowsCuda, QuantisedRowsEqualTheirTwin) {
    for (const std::int64_t dim : {8960, 1536, 320, 16384}) {
        for (const bool gelu : {false, true}) {
            const at::Tensor x = random(4, {37, dim + 8}, at::kBFloat16).narrow(1, 0, dim) * 2;
            const Activation got = quantise_rows(x, gelu), expected = plain::quantise_rows(x, gelu);
            EXPECT_LE(relative(got.scale, expected.scale), 1e-5) << dim;
            EXPECT_LE(relative(value(got), value(expected)), kE4m3) << dim;
            EXPECT_LE(relative(value(got), gelu ? at::gelu(x.to(at::kFloat), "tanh") : x.to(at::kFloat)), 1.0 / 28);
        }
    }
}

TEST_F(RowsCuda, GeluBehindAProductIsTheTanhForm) {
    const at::Tensor w = random(1, {64, 96}), b = random(2, {64}), x = random(3, {33, 96}, at::kBFloat16);
    const Linear layer(w, b, at::Device(at::kCUDA, 0), at::kBFloat16);
    const at::Tensor exact =
        at::linear(x.to(at::kDouble), w.to(at::kBFloat16).to(at::kDouble), b.to(at::kBFloat16).to(at::kDouble));
    EXPECT_LE(relative(layer.with_gelu({x, {}}, layer).values, at::gelu(exact, "tanh")), kBfloat16);
}

// Weights and inputs in E4M3 with their factors: the product of what was stored, to bfloat16's rounding.
TEST_F(RowsCuda, E4m3ProductMultipliesWhatWasStored) {
    const auto device = at::Device(at::kCUDA, 0);
    for (const auto& [rows, in, out] : {Size{37, 320, 960}, Size{128, 1536, 64}}) {
        const at::Tensor w = random(1, {out, in}) * random(4, {out, 1}).abs(), b = random(2, {out}),
                         x = random(3, {rows, in}, at::kBFloat16);
        const Linear layer(w, b, device, at::kBFloat16, WeightType::e4m3);
        ASSERT_EQ(layer.input_type(), at::kFloat8_e4m3fn);
        const Activation stored = quantise_rows(x, false);
        const at::Tensor expected =
            at::linear(value(stored).to(at::kDouble), value(plain::quantise_rows(w, false)).to(at::kDouble),
                       b.to(at::kBFloat16).to(at::kDouble));
        EXPECT_LE(relative(layer(stored), expected), 2 * kBfloat16);
        EXPECT_LE(relative(layer(x), expected), 2 * kBfloat16);
        EXPECT_LE(relative(plain::widen(layer.addend(stored)), expected), 2 * kBfloat16);
        EXPECT_LE(relative(layer.to_stream(x), expected), 2 * kBfloat16);
    }
}

} // namespace
} // namespace wander::nn
