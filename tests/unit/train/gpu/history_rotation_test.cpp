// The kernel that rotates history against its plain twin, and many walks on the GPU against the CPU.

#include "generator/train/history_rotation.hpp"

#include "generator/device.hpp"
#include "generator/train/batched_walk.hpp"
#include "generator/train/random.hpp"
#include "generator/train/train_dit.hpp"
#include "tests/unit/train/small_network.hpp"

#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

namespace wander::train {
namespace {

class TrainGpu : public ::testing::Test {
protected:
    void SetUp() override {
        const auto device = pick_device("cuda", "bf16", 0);
        ASSERT_TRUE(device) << device.error().message;
    }
    c10::NoGradGuard no_gradients_;
};

TEST_F(TrainGpu, RotatedHistoryIsThatOfThePlainTwin) {
    constexpr std::int64_t kWalks = 3, kSlots = 5, kTokens = 84, kDim = 320;
    at::Generator random = make_generator(at::kCPU, 1);
    const auto normal = [&](std::vector<std::int64_t> shape) {
        return at::empty(shape, at::kFloat).normal_(0, 1, random).to(at::kCUDA);
    };
    // A ring with more room than is used: walks lie apart.
    const at::Tensor keys = normal({kWalks, kSlots + 2, kTokens, kDim}).to(at::kBFloat16);
    const at::Tensor values = normal({kWalks, kSlots + 2, kTokens, kDim}).to(at::kBFloat16);
    const at::Tensor angles = normal({kSlots, kTokens, 32});
    const HistoryRotation history{keys.narrow(1, 0, kSlots), values.narrow(1, 0, kSlots), angles.cos(), angles.sin(),
                                  normal({kWalks, kSlots, 4, 4})};
    const auto room = [&] {
        return at::full({kWalks, (kSlots + 3) * kTokens, 2 * kDim / 64, 64}, 7.0, keys.options());
    };
    at::Tensor fast_keys = room(), fast_values = room(), plain_keys = room(), plain_values = room();
    rotate_history(history, fast_keys, fast_values);
    rotate_history_plain(history, plain_keys, plain_values);
    const auto expect_one_step = [](const at::Tensor& got, const at::Tensor& want, const char* what) {
        const at::Tensor g = got.to(at::kCPU, at::kDouble), w = want.to(at::kCPU, at::kDouble);
        const at::Tensor allowed = w.abs() / 128 + 1e-5;
        EXPECT_TRUE(((g - w).abs() <= allowed).all().item<bool>()) << what << (g - w).abs().max().item<double>();
    };
    expect_one_step(fast_keys, plain_keys, "keys ");
    expect_one_step(fast_values, plain_values, "values ");
    EXPECT_EQ(fast_keys.narrow(1, kSlots * kTokens, kTokens).min().item<float>(), 7);
}

TEST_F(TrainGpu, VelocitiesAreThoseOfTheCpu) {
    const DitConfig config = test::small_network();
    const LatentGeometry geometry = test::small_geometry();
    Parameters here = test::lively_parameters(config, 8);
    Parameters there = test::copy_on(config, here, at::kCUDA);
    const Clip clip = test::random_clip(config, geometry, 2, 3, 9);
    const at::Tensor expected = TrainDit(config, geometry, here, at::kFloat).velocity(clip);
    const Clip moved = test::moved(clip, at::kCUDA);
    const auto error = [&](at::ScalarType compute) {
        const at::Tensor got = TrainDit(config, geometry, there, compute).velocity(moved).to(at::kCPU);
        return ((got - expected).square().mean() / expected.square().mean()).sqrt().item<double>();
    };
    EXPECT_LE(error(at::kFloat), 1e-3); // products may run in TF32
    EXPECT_LE(error(at::kBFloat16), 0.03);
}

TEST_F(TrainGpu, WalksAreThoseOfTheCpu) {
    const DitConfig config = test::small_network();
    const LatentGeometry geometry = test::small_geometry();
    const Parameters here = test::lively_parameters(config, 8);
    const Parameters there = test::copy_on(config, here, at::kCUDA);
    const Clip clip = test::random_clip(config, geometry, 2, 6, 9);
    const auto last = [&](const Parameters& parameters, at::Device device, at::ScalarType compute) {
        BatchedWalk walk(config, geometry, {3, {1.0, 0.6}}, device, compute);
        walk.set_weights(parameters);
        walk.begin(clip.context.select(1, 0), clip.cameras.select(1, 0), clip.worlds);
        std::vector<at::Tensor> latents;
        for (std::int64_t k = 0; k < clip.latents(); ++k) {
            latents.push_back(
                walk.generate(clip.noisy.select(1, k), clip.cameras.select(1, k + 1), clip.labels.select(1, k + 1))
                    .latents.to(at::kCPU));
        }
        return at::stack(latents);
    };
    const at::Tensor expected = last(here, at::kCPU, at::kFloat);
    const auto error = [&](at::ScalarType compute) {
        const at::Tensor got = last(there, at::kCUDA, compute);
        return ((got - expected).square().mean() / expected.square().mean()).sqrt().item<double>();
    };
    EXPECT_LE(error(at::kFloat), 1e-2);
    EXPECT_LE(error(at::kBFloat16), 0.1);
}

} // namespace
} // namespace wander::train
