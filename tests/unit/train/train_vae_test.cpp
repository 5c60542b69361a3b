// The trainer's autoencoder against the one that walks, and its gradients against differences.

#include "generator/train/train_vae.hpp"
#include "generator/weights/safetensors.hpp"
#include "generator/world/embedded_world.hpp"
#include "tests/unit/train/small_vae.hpp"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

namespace wander::train {
namespace {

double relative(const at::Tensor& a, const at::Tensor& b) {
    return (a - b).abs().max().item<double>() / b.abs().max().item<double>();
}

TEST(TrainVae, IsTheWalksAutoencoderWithTheShippedWeights) {
    const std::filesystem::path folder = std::filesystem::path(WANDER_SOURCE_DIR) / "assets/world";
    const auto world = EmbeddedWorld::read(folder);
    ASSERT_TRUE(world) << world.error().message;
    const auto file = Safetensors::open(folder / "vae.safetensors");
    ASSERT_TRUE(file);
    const TensorSource source = [&](const std::string& name, const std::vector<std::int64_t>& shape) {
        return file->tensor(name, shape);
    };
    auto parameters = Parameters::load(world->vae.tensor_shapes(true, true), source, at::kCPU, "autoencoder");
    ASSERT_TRUE(parameters) << parameters.error().message;
    auto walking = WanVae::load(world->vae, source, at::kCPU, at::kFloat, true, true);
    ASSERT_TRUE(walking);
    const TrainVae vae(world->vae, *parameters, at::kFloat);

    const at::Tensor frames = smooth_frames(2, 9, 32, 48);
    const at::Tensor latents = vae.encode(frames).detach();
    const at::Tensor pictures = vae.decode(latents).detach();
    ASSERT_EQ(latents.sizes(), at::IntArrayRef({2, 3, 16, 4, 6}));
    ASSERT_EQ(pictures.sizes(), at::IntArrayRef({2, 9, 32, 48, 3}));
    for (std::int64_t i = 0; i < 2; ++i) {
        const at::Tensor there = walking->encode(frames[i].permute({0, 3, 1, 2}).contiguous());
        EXPECT_LE(relative(latents[i], there), 1e-4);
        auto stream = walking->decode_stream();
        const at::Tensor shown = stream.decode(latents[i]);
        EXPECT_LE(relative(pictures[i].permute({0, 3, 1, 2}), shown), 1e-4);
    }
}

TEST(TrainVae, TakesLevelsAsPictures) {
    Parameters parameters = random_vae(small_vae_config(), at::kCPU, at::make_generator<at::CPUGeneratorImpl>(1));
    const TrainVae vae(small_vae_config(), parameters, at::kFloat);
    const at::Tensor levels = smooth_frames(1, 5, 16, 16).add(1).mul(127.5).round().to(at::kByte);
    EXPECT_TRUE(vae.encode(levels).equal(vae.encode(levels.to(at::kFloat).div(127.5).sub(1))));
}

TEST(TrainVae, AClipFromTheMiddleHasFourFramesALatentAndZerosBeforeIt) {
    Parameters parameters = random_vae(small_vae_config(), at::kCPU, at::make_generator<at::CPUGeneratorImpl>(1));
    const TrainVae vae(small_vae_config(), parameters, at::kFloat);
    const at::Tensor latents = at::randn({1, 3, 4, 2, 2}, at::make_generator<at::CPUGeneratorImpl>(2));
    const at::Tensor middle = vae.decode(latents, false);
    EXPECT_EQ(middle.sizes(), at::IntArrayRef({1, 12, 16, 16, 3}));
    // Causal: what comes later changes nothing before it.
    at::Tensor other = latents.clone();
    other.select(1, 2).zero_();
    const at::Tensor changed = vae.decode(other, false);
    EXPECT_TRUE(changed.narrow(1, 0, 8).equal(middle.narrow(1, 0, 8)));
    EXPECT_FALSE(changed.narrow(1, 8, 4).equal(middle.narrow(1, 8, 4)));
}

TEST(TrainVae, GradientsAreThoseOfDifferences) {
    Parameters parameters =
        random_vae(small_vae_config(), at::kCPU, at::make_generator<at::CPUGeneratorImpl>(1), at::kDouble);
    const TrainVae vae(small_vae_config(), parameters, at::kDouble);
    const at::Tensor frames = smooth_frames(2, 5, 16, 16).to(at::kDouble);
    const auto loss = [&] {
        const VaeMoments5 moments = vae.moments(frames);
        return vae.decode_unnormalised(moments.mean).sub(frames).square().mean() + moments.log_variance.square().mean();
    };
    loss().backward();
    constexpr double kStep = 1e-5;
    const at::NoGradGuard no_gradients;
    for (const auto& [name, tensor] : parameters.tensors()) {
        ASSERT_TRUE(tensor.grad().defined()) << name;
        // Along one direction, so that all numbers of the tensor take part.
        const at::Tensor direction = at::randn(tensor.sizes(), at::make_generator<at::CPUGeneratorImpl>(3),
                                               at::TensorOptions().dtype(at::kDouble));
        const double expected = (tensor.grad() * direction).sum().item<double>();
        tensor.add_(direction, kStep);
        const double above = loss().item<double>();
        tensor.sub_(direction, 2 * kStep);
        const double below = loss().item<double>();
        tensor.add_(direction, kStep);
        const double found = (above - below) / (2 * kStep);
        EXPECT_NEAR(found, expected, 1e-5 * std::max(1.0, std::abs(expected))) << name;
    }
}

TEST(TrainVae, ANewOneNeitherFadesNorGrows) {
    Parameters parameters = random_vae(small_vae_config(), at::kCPU, at::make_generator<at::CPUGeneratorImpl>(1));
    const TrainVae vae(small_vae_config(), parameters, at::kFloat);
    const VaeMoments5 moments = vae.moments(smooth_frames(2, 9, 32, 32));
    EXPECT_GT(moments.mean.std().item<double>(), 0.05);
    EXPECT_LT(moments.mean.std().item<double>(), 20);
    const at::Tensor pictures = vae.decode(at::randn({2, 3, 4, 4, 4}, at::make_generator<at::CPUGeneratorImpl>(2)));
    EXPECT_GT(pictures.std().item<double>(), 0.05);
    EXPECT_LT(pictures.std().item<double>(), 20);
}

} // namespace
} // namespace wander::train
