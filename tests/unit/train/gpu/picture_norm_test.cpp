// RMS norm and SiLU on an NVIDIA GPU against torch's operations in float32, forward and backward.

#include "generator/train/picture_norm.hpp"
#include "generator/device.hpp"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

namespace wander::train {
namespace {

double relative(const at::Tensor& a, const at::Tensor& b) {
    return ((a.to(at::kFloat) - b).norm() / b.norm()).item<double>();
}

TEST(PictureNormGpu, IsItsPlainTwinForwardAndBackward) {
    auto picked = pick_device("cuda", "bf16", 1);
    ASSERT_TRUE(picked) << picked.error().message;
    const at::Generator random = at::make_generator<at::CPUGeneratorImpl>(1);
    for (const std::int64_t channels : {8, 16, 24, 48, 64, 96, 128, 256}) {
        for (const std::int64_t rows : {1, 3, 1000, 70001}) {
            const at::Tensor x = at::randn({rows, channels}, random).mul_(3).to(picked->device, at::kBFloat16);
            const at::Tensor gamma = (at::rand({channels}, random) + 0.5).to(picked->device);
            const at::Tensor dy = at::randn({rows, channels}, random).to(picked->device, at::kBFloat16);
            at::Tensor fast_x = x.clone().set_requires_grad(true), fast_gamma = gamma.clone().set_requires_grad(true);
            at::Tensor slow_x = x.to(at::kFloat).set_requires_grad(true),
                       slow_gamma = gamma.clone().set_requires_grad(true);
            const at::Tensor fast = norm_silu_rows(fast_x, fast_gamma, 1e-6);
            const at::Tensor slow = plain::norm_silu_rows(slow_x, slow_gamma, 1e-6);
            fast.backward(dy);
            slow.backward(dy.to(at::kFloat));
            EXPECT_LE(relative(fast.detach(), slow.detach()), 0.01) << rows << " x " << channels;
            EXPECT_LE(relative(fast_x.grad(), slow_x.grad()), 0.01) << rows << " x " << channels;
            EXPECT_LE(relative(fast_gamma.grad(), slow_gamma.grad()), 0.01) << rows << " x " << channels;
        }
    }
}

TEST(PictureNormGpu, GivesTheSameBytesAgain) {
    auto picked = pick_device("cuda", "bf16", 1);
    ASSERT_TRUE(picked);
    const at::Generator random = at::make_generator<at::CPUGeneratorImpl>(1);
    const at::Tensor x = at::randn({5000, 96}, random).to(picked->device, at::kBFloat16);
    const auto gradient = [&] {
        at::Tensor gamma = at::ones({96}, at::TensorOptions(picked->device)).set_requires_grad(true);
        norm_silu_rows(x, gamma, 1e-6).sum().backward();
        return gamma.grad();
    };
    EXPECT_TRUE(gradient().equal(gradient()));
}

} // namespace
} // namespace wander::train
