// Layers against plain expressions: the packed product and its twin, the fused rows and theirs.

#include "generator/nn/linear.hpp"
#include "generator/nn/plain/gemm_cpu.hpp"
#include "generator/nn/rows.hpp"
#include "generator/rollout/noise.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace wander::nn {
namespace {

at::Tensor random(std::uint64_t seed, const std::vector<std::int64_t>& shape) {
    return gaussian_tensor(seed * 1000003, shape);
}

double relative(const at::Tensor& got, const at::Tensor& expected) {
    return ((got.to(at::kDouble) - expected.to(at::kDouble)).abs().max() / expected.to(at::kDouble).abs().max())
        .item<double>();
}

struct Size {
    std::int64_t rows, in, out;
};

class LinearSizes : public testing::TestWithParam<Size> {};

TEST_P(LinearSizes, EqualsTheDoubleProduct) {
    const auto [rows, in, out] = GetParam();
    const at::Tensor w = random(1, {out, in}), b = random(2, {out}), x = random(3, {rows, in});
    for (const auto type : {at::kFloat, at::kBFloat16, at::kDouble}) {
        const Linear layer(w, b, at::kCPU, type);
        const at::Tensor xt = x.to(type);
        const at::Tensor expected = at::matmul(xt.to(at::kDouble), w.to(type).to(at::kDouble).t()) + b.to(at::kDouble);
        const double wide = type == at::kFloat    ? 2e-6 * std::sqrt(static_cast<double>(in))
                            : type == at::kDouble ? 1e-13
                                                  : 1.0 / 128;
        EXPECT_LE(relative(layer(xt), expected), wide) << type;
        EXPECT_LE(relative(layer.to_stream(xt), expected), wide) << type;
    }
}

INSTANTIATE_TEST_SUITE_P(Shapes, LinearSizes,
                         testing::Values(Size{84, 320, 960}, Size{1, 256, 320}, Size{14, 2, 32}, Size{15, 34, 33},
                                         Size{97, 690, 64}, Size{252, 64, 31}));

// Emulated FP8: each output channel and each row rounded to E4M3 by a factor of its own, written here with tables of
// the type's numbers. Within bf16's rounding of the result.
TEST(EmulatedFp8, RoundsWeightsAndRowsAndNothingElse) {
    std::vector<double> numbers; // of E4M3, not negative
    for (int code = 0; code < 127; ++code) {
        const int exponent = code >> 3, mantissa = code & 7;
        numbers.push_back(exponent == 0 ? mantissa * 0x1p-9 : (8 + mantissa) * std::ldexp(1.0, exponent - 10));
    }
    const auto nearest = [&](double x) {
        const auto above = std::lower_bound(numbers.begin(), numbers.end(), std::abs(x));
        if (above == numbers.end()) return std::copysign(numbers.back(), x);
        const double high = *above, low = above == numbers.begin() ? high : *(above - 1);
        return std::copysign(std::abs(x) - low < high - std::abs(x) ? low : high, x);
    };
    const auto rounded = [&](const at::Tensor& rows) {
        at::Tensor out = rows.to(at::kDouble).clone();
        for (std::int64_t row = 0; row < out.size(0); ++row) {
            double* values = out[row].data_ptr<double>();
            const double unit = out[row].abs().max().item<double>() / 448;
            for (std::int64_t i = 0; i < out.size(1); ++i) values[i] = nearest(values[i] / unit) * unit;
        }
        return out;
    };
    const at::Tensor w = random(1, {48, 40}), b = random(2, {48}).to(at::kBFloat16), x = random(3, {7, 40});
    const Linear layer(w, b, at::kCPU, at::kBFloat16, WeightType::e4m3_emulated);
    const at::Tensor expected = at::matmul(rounded(x), rounded(w).t()) + b.to(at::kDouble);
    EXPECT_EQ(layer.input_type(), at::kFloat);
    EXPECT_LE(relative(layer.to_stream(x), expected), 1e-5);
    EXPECT_LE(relative(layer(Activation{x, {}}), expected), 1.0 / 128);
    EXPECT_EQ(layer(x).scalar_type(), at::kBFloat16);
    EXPECT_GT(relative(layer.to_stream(x), at::linear(x, w, b.to(at::kFloat))), 5e-3) << "nothing was rounded";
}

// Whatever kernel this machine has, against its twin; rows that lie apart, with and without a bias.
TEST(GemmKernels, EqualTheirTwins) {
    for (const cpu::GemmKernel kernel : {cpu::float_gemm(), cpu::bf16_gemm()}) {
        if (kernel == cpu::GemmKernel::none) continue;
        const bool is_float = kernel == cpu::GemmKernel::float_avx512;
        for (const auto& [rows, in, out] : {Size{84, 320, 40}, Size{3, 34, 70}, Size{29, 6, 5}}) {
            const auto type = is_float ? at::kFloat : at::kBFloat16;
            const at::Tensor w = random(5, {out, in}).to(type), x = random(6, {rows, in + 8}).to(type),
                             bias = random(7, {out});
            const auto floats = is_float ? cpu::pack_weight(w.const_data_ptr<float>(), out, in) : std::vector<float>{};
            const auto halves = is_float
                                    ? std::vector<std::uint16_t>{}
                                    : cpu::pack_weight(static_cast<const std::uint16_t*>(w.const_data_ptr()), out, in);
            for (const bool with_bias : {true, false}) {
                at::Tensor fast = random(8, {rows, out + 3}), slow = fast.clone();
                cpu::Gemm task{rows,
                               in,
                               out,
                               x.const_data_ptr(),
                               in + 8,
                               is_float ? static_cast<const void*>(floats.data()) : halves.data(),
                               with_bias ? bias.const_data_ptr<float>() : nullptr,
                               fast.mutable_data_ptr(),
                               out + 3,
                               false};
                cpu::run_gemm(kernel, task);
                task.y = slow.mutable_data_ptr();
                cpu::gemm_reference(kernel, task);
                const double tolerance = (is_float ? 2e-6 : 1e-5) * std::sqrt(static_cast<double>(in));
                EXPECT_LE(relative(fast, slow), tolerance);
                EXPECT_TRUE(at::equal(fast.narrow(1, out, 3), slow.narrow(1, out, 3)))
                    << "columns beyond the result were written";
            }
        }
    }
}

class FusedRows : public testing::TestWithParam<at::ScalarType> {};

// dim 320 and one that fills no register; one group and several.
TEST_P(FusedRows, EqualTheirTwins) {
    const at::ScalarType type = GetParam();
    const double tolerance = type == at::kFloat ? 2e-6 : 1.0 / 128;
    for (const std::int64_t dim : {320, 75}) {
        for (const std::int64_t groups : {1, 3}) {
            const at::Tensor x = random(1, {12, dim}) * 3 + 1, shift = random(2, {groups, dim}),
                             scale = random(3, {groups, dim});
            EXPECT_LE(relative(modulated_norm(x, shift, scale, 1e-6, type),
                               plain::modulated_norm(x.to(at::kDouble), shift.to(at::kDouble), scale.to(at::kDouble),
                                                     1e-6, at::kDouble)),
                      tolerance);
            const at::Tensor y = random(4, {12, dim}).to(type);
            at::Tensor fast = x.clone(), slow = x.to(at::kDouble);
            add_gated(fast, y, scale);
            plain::add_gated(slow, y, scale.to(at::kDouble));
            EXPECT_LE(relative(fast, slow), 1e-6);
        }
        const at::Tensor wide = random(5, {12, 3 * dim}).to(type), part = wide.narrow(1, dim, dim),
                         weight = random(6, {dim});
        EXPECT_LE(
            relative(rms_norm(part, weight, 1e-6), plain::rms_norm(part.to(at::kDouble), weight.to(at::kDouble), 1e-6)),
            tolerance);
        at::Tensor fast = (random(7, {5, dim}) * 4).to(type), slow = fast.to(at::kDouble);
        nn::gelu_(fast);
        plain::gelu_(slow);
        EXPECT_LE(relative(fast, slow), tolerance);
    }
}

INSTANTIATE_TEST_SUITE_P(Types, FusedRows, testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& test) { return test.param == at::kFloat ? "Float" : "Bfloat16"; });

} // namespace
} // namespace wander::nn
