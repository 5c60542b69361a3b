// The training transformer against the walking one, its gradients against differences, and the torus.

#include "generator/train/train_dit.hpp"

#include "generator/device.hpp"
#include "generator/wan/dit_weights.hpp"
#include "tests/unit/train/shipped_world.hpp"
#include "tests/unit/train/small_network.hpp"

#include <c10/core/GradMode.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <numbers>

namespace wander::train {
namespace {

using test::relative_difference;

constexpr double kParityTolerance = 1e-4; // largest difference over largest value, float32
constexpr int kChunks = 5;

Pose pose_of(const nlohmann::json& json) { return {json[0], json[1], json[2], json[3]}; }

at::Tensor row_of(const Pose& pose) { return at::tensor({pose.x, pose.z, pose.yaw, pose.pitch}, at::kFloat); }

// One thread: the tensors are small, and other programs may hold the other cores.
class TrainDitTest : public ::testing::Test {
protected:
    void SetUp() override { set_own_thread_count(1); }
};

// A walk of the walking network, with every pass's input and velocity.
struct RecordedWalk {
    std::vector<at::Tensor> context, noisy, velocity; // the sink first in context
    std::vector<at::Tensor> cameras;
    std::vector<float> labels;
    std::vector<float> sigmas;
    int world = 0;
};

RecordedWalk record_walk(const std::string& start_name) {
    const auto& shipped = test::shipped_world();
    const EmbeddedWorld& world = shipped.world;
    const auto json = nlohmann::json::parse(std::ifstream(WANDER_TEST_DATA_DIR "/world/golden/case.json"));
    const std::size_t start = *world.find_start(start_name);
    RecordedWalk walk;
    walk.world = *world.world_number(world.starts[start].world);
    // Half of the latents are looked at in the first step, the others in the second.
    int chunk = 0;
    Rollout::Config config = shipped.rollout_config();
    config.on_step = [&](int step, const at::Tensor& input, const at::Tensor& velocity) {
        if (step != chunk % 2) return;
        walk.noisy.push_back(input.clone());
        walk.velocity.push_back(velocity.clone());
        walk.sigmas.push_back(static_cast<float>(world.sampler.sigmas[static_cast<std::size_t>(step)]));
    };
    Rollout rollout(shipped.walking, test::cache_for(world.dit, shipped.geometry(), world.window_latents, at::kFloat),
                    config, keyed_noise(7));
    // The golden walk's steps from this start point.
    const Pose first = pose_of(json.at("poses").at(0));
    const auto input_of = [&](std::size_t row) {
        const Pose there = pose_of(json.at("poses").at(row)), &from = world.starts[start].pose;
        const Pose pose{from.x + there.x - first.x, from.z + there.z - first.z, from.yaw + there.yaw - first.yaw,
                        from.pitch + there.pitch - first.pitch + 0.05F * static_cast<float>(row)};
        const int label = row == 0 ? 0 : json.at("labels").at(row).get<int>();
        walk.cameras.push_back(row_of(pose));
        walk.labels.push_back(static_cast<float>(label));
        return test::chunk_input(*shipped.walking, shipped.geometry(), pose, label, walk.world);
    };
    walk.context.push_back(test::value_of(world.start_latent(start)));
    rollout.prefill(walk.context[0].unsqueeze(0), input_of(0));
    for (chunk = 0; chunk < kChunks; ++chunk)
        walk.context.push_back(rollout.generate(input_of(static_cast<std::size_t>(chunk) + 1))[0].clone());
    return walk;
}

TEST_F(TrainDitTest, VelocitiesAreThoseOfTheWalk) {
    const c10::NoGradGuard no_gradients;
    const auto& shipped = test::shipped_world();
    const std::vector<RecordedWalk> walks = {record_walk("village_fountain"), record_walk("winter_lamps")};
    std::vector<at::Tensor> context, noisy, sigma, labels, cameras, velocity;
    std::vector<std::int64_t> worlds;
    for (const RecordedWalk& walk : walks) {
        context.push_back(at::stack(walk.context));
        noisy.push_back(at::cat(walk.noisy));
        velocity.push_back(at::cat(walk.velocity));
        sigma.push_back(at::tensor(walk.sigmas));
        labels.push_back(at::tensor(walk.labels));
        cameras.push_back(at::stack(walk.cameras));
        worlds.push_back(walk.world);
    }
    const Clip clip{at::stack(context), at::stack(noisy),   at::stack(sigma),
                    at::stack(labels),  at::stack(cameras), at::tensor(worlds, at::kLong),
                    at::ones({2})};
    Parameters parameters = shipped.parameters.deep_copy();
    const TrainDit dit(shipped.world.dit, shipped.geometry(), parameters, at::kFloat);
    const at::Tensor got = dit.velocity(clip);
    ASSERT_EQ(got.sizes(), noisy[0].unsqueeze(0).expand({2, -1, -1, -1, -1}).sizes());
    for (std::int64_t i = 0; i < 2; ++i) {
        for (std::int64_t latent = 0; latent < kChunks; ++latent) {
            EXPECT_LE(relative_difference(got[i][latent], velocity[static_cast<std::size_t>(i)][latent]),
                      kParityTolerance)
                << "walk " << i << ", latent " << latent;
        }
    }
}

TEST_F(TrainDitTest, PoseFeaturesAreThoseOfTheWalk) {
    const auto& shipped = test::shipped_world();
    const LatentGeometry geometry = shipped.geometry();
    const PoseFeatures features(shipped.world.dit, geometry, at::kCPU);
    const PoseEmbedding walking =
        test::value_of(PoseEmbedding::load(pose_config(shipped.world.dit), shipped.parameters.source(), at::kCPU));
    // At a place, far away on the torus and turned many times, looking down and up.
    const at::Tensor cameras = at::tensor({1.5, -3.25, 0.7, 0.0, 197.3, -88.1, 25.0, -0.4, -7.99, 8.0, -2.0, 0.55})
                                   .to(at::kFloat)
                                   .view({3, 1, 4});
    const at::Tensor worlds = at::tensor({0, 2, 1}, at::kLong);
    const at::Tensor got = features(shipped.parameters.at("map_embedding.fine"),
                                    shipped.parameters.at("map_embedding.coarse"), cameras, worlds, at::kFloat);
    ASSERT_EQ(got.size(3), 696);
    ASSERT_EQ(features.count(), 690);
    for (std::int64_t i = 0; i < 3; ++i) {
        const float* c = cameras[i][0].const_data_ptr<float>();
        const at::Tensor expected = walking.features(c[0], c[1], c[2], c[3], static_cast<int>(worlds[i].item<int>()),
                                                     geometry.rows / 2, geometry.cols / 2);
        EXPECT_LE((got[i][0].narrow(1, 0, 690) - expected).abs().max().item<double>(), 1e-4) << i;
        EXPECT_EQ(got[i][0].narrow(1, 690, 6).abs().max().item<double>(), 0);
    }
}

// The derivative along a random direction of every tensor, in float64, against a central difference.
TEST_F(TrainDitTest, GradientsAreDifferences) {
    const DitConfig config = test::small_network();
    const LatentGeometry geometry = test::small_geometry();
    Parameters parameters = test::lively_parameters(config, 1, at::kDouble);
    const TrainDit dit(config, geometry, parameters, at::kDouble);
    Clip clip = test::random_clip(config, geometry, 2, 3, 2, at::kDouble);
    clip.worlds = at::tensor({0, 1}, at::kLong);
    clip.with_pose = at::tensor({1.0F, 1.0F});
    at::Generator random = test::generator_of(3);
    const at::Tensor weights = at::empty_like(clip.noisy).normal_(0, 1, random);
    const auto value = [&] { return (dit.velocity(clip) * weights).sum(); };

    parameters.require_gradients(true);
    value().backward();
    for (const auto& [name, tensor] : parameters.tensors()) {
        ASSERT_TRUE(tensor.grad().defined()) << name;
        const at::Tensor direction = at::empty_like(tensor, at::TensorOptions()).normal_(0, 1, random).detach();
        const double slope = (tensor.grad() * direction).sum().item<double>();
        constexpr double kStep = 1e-5;
        const c10::NoGradGuard no_gradients;
        tensor.add_(direction, kStep);
        const double above = value().item<double>();
        tensor.sub_(direction, 2 * kStep);
        const double below = value().item<double>();
        tensor.add_(direction, kStep);
        EXPECT_NEAR((above - below) / (2 * kStep), slope, 1e-5 * std::max(1.0, std::abs(slope))) << name;
        EXPECT_NE(slope, 0) << name;
    }
    parameters.clear_gradients();
    EXPECT_FALSE(parameters.at("head.head.weight").grad().defined());
}

TEST_F(TrainDitTest, AWalkRoundTheTorusChangesNothing) {
    const c10::NoGradGuard no_gradients;
    const DitConfig config = test::small_network();
    const LatentGeometry geometry = test::small_geometry();
    Parameters parameters = test::lively_parameters(config, 4, at::kDouble);
    const TrainDit dit(config, geometry, parameters, at::kDouble);
    Clip clip = test::random_clip(config, geometry, 2, 3, 5, at::kDouble);
    // Sixteenths are exact in float32 beside 16 and 48.
    clip.cameras.narrow(2, 0, 2).copy_((clip.cameras.narrow(2, 0, 2) * 256).round() / 256);
    const at::Tensor here = dit.velocity(clip);
    Clip away = clip;
    away.cameras = clip.cameras.clone();
    away.cameras.select(2, 0).add_(48);
    away.cameras.select(2, 1).sub_(16);
    EXPECT_LE(relative_difference(dit.velocity(away), here), 1e-9);
    // The sink alone on another copy: the nearest one counts.
    away.cameras = clip.cameras.clone();
    away.cameras.select(1, 0).select(1, 0).add_(16);
    EXPECT_LE(relative_difference(dit.velocity(away), here), 1e-9);
    // And the test can fail.
    away.cameras.select(1, 0).select(1, 0).add_(0.5);
    EXPECT_GT(relative_difference(dit.velocity(away), here), 1e-6);
}

TEST_F(TrainDitTest, ANoisyLatentSeesWhatWasBefore) {
    const c10::NoGradGuard no_gradients;
    const DitConfig config = test::small_network();
    const LatentGeometry geometry = test::small_geometry();
    Parameters parameters = test::lively_parameters(config, 6, at::kDouble);
    const TrainDit dit(config, geometry, parameters, at::kDouble);
    Clip clip = test::random_clip(config, geometry, 1, 4, 7, at::kDouble);
    const at::Tensor before = dit.velocity(clip)[0];
    clip.context = clip.context.clone();
    clip.context[0][2].add_(1); // the second clean latent: seen by noisy ones from the third on
    const at::Tensor after = dit.velocity(clip)[0];
    for (std::int64_t latent = 0; latent < 4; ++latent) {
        const double change = (after[latent] - before[latent]).abs().max().item<double>();
        EXPECT_EQ(change > 1e-3, latent >= 2) << latent;
        EXPECT_EQ(change == 0, latent < 2) << latent;
    }
}

TEST_F(TrainDitTest, Bfloat16StaysNear) {
    const c10::NoGradGuard no_gradients;
    const DitConfig config = test::small_network();
    const LatentGeometry geometry = test::small_geometry();
    Parameters parameters = test::lively_parameters(config, 8);
    const Clip clip = test::random_clip(config, geometry, 2, 3, 9);
    const at::Tensor exact = TrainDit(config, geometry, parameters, at::kFloat).velocity(clip);
    const at::Tensor rounded = TrainDit(config, geometry, parameters, at::kBFloat16).velocity(clip);
    EXPECT_EQ(rounded.scalar_type(), at::kFloat);
    const double rms = ((rounded - exact).square().mean() / exact.square().mean()).sqrt().item<double>();
    EXPECT_LE(rms, 0.03);
    EXPECT_GT(rms, 0);
}

} // namespace
} // namespace wander::train
