// The RMS norm of single heads on a GPU against its plain twin: all head widths, rows that lie apart.

#include "generator/nn/head_norm.hpp"
#include "generator/rollout/noise.hpp"
#include "tests/support/cuda_runtime.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

namespace wander::nn {
namespace {

TEST(HeadNormCuda, EqualsItsTwin) {
    if (!test::open_cuda()) FAIL() << "no CUDA device";
    const c10::InferenceMode inference;
    const at::Device device(at::kCUDA, 0);
    for (const std::int64_t width : {8, 16, 32, 64, 128, 256}) {
        for (const std::int64_t rows : {1, 7, 300}) {
            const std::int64_t dim = 3 * width;
            const at::Tensor all = gaussian_tensor(5, {rows, 3 * dim}).to(device, at::kBFloat16);
            const at::Tensor weight = 1 + 0.2 * gaussian_tensor(6, {width}).to(device);
            const at::Tensor second = 1 + 0.2 * gaussian_tensor(7, {width}).to(device);
            const at::Tensor q = all.narrow(1, 0, dim), k = all.narrow(1, dim, dim), v = all.narrow(1, 2 * dim, dim);
            const at::Tensor wanted_q = plain::head_norm(q, weight, 1e-6), wanted_k = plain::head_norm(k, second, 1e-6),
                             kept = v.clone();
            const TwoRows got = head_norm_both({q, k}, weight, second, 1e-6);
            const auto relative = [](const at::Tensor& a, const at::Tensor& b) {
                return ((a - b).to(at::kFloat).abs() / b.to(at::kFloat).abs().clamp_min(1e-3)).max().item<float>();
            };
            EXPECT_LE(relative(got.first, wanted_q), 1.0F / 128) << width;
            EXPECT_LE(relative(got.second, wanted_k), 1.0F / 128) << width;
            EXPECT_TRUE(at::equal(v, kept)) << width;
        }
    }
}

} // namespace
} // namespace wander::nn
