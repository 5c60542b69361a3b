// Many walks at once against the walk of the program and the golden roll-out.

#include "generator/train/batched_walk.hpp"

#include "generator/device.hpp"
#include "tests/unit/train/shipped_world.hpp"
#include "tests/unit/train/small_network.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fstream>

namespace wander::train {
namespace {

using test::relative_difference;

class BatchedWalkTest : public ::testing::Test {
protected:
    void SetUp() override { set_own_thread_count(1); }
};

at::Tensor row_of(const Pose& pose) { return at::tensor({pose.x, pose.z, pose.yaw, pose.pitch}, at::kFloat); }

TEST_F(BatchedWalkTest, GivesTheGoldenLatents) {
    const auto& shipped = test::shipped_world();
    const auto folder = std::filesystem::path(WANDER_TEST_DATA_DIR "/world/golden");
    const auto json = nlohmann::json::parse(std::ifstream(folder / "case.json"));
    const Safetensors out = test::value_of(Safetensors::open(folder / "out.safetensors"));
    const at::Tensor expected = test::value_of(out.tensor("latents"));
    const auto start = *shipped.world.find_start(json.at("config").at("start"));
    const auto seed = json.at("seed").get<std::uint64_t>();
    const auto camera = [&](std::size_t row) {
        const auto& p = json.at("poses").at(row);
        return row_of({p[0], p[1], p[2], p[3]}).unsqueeze(0);
    };
    BatchedWalk walk(shipped.world.dit, shipped.geometry(),
                     {shipped.world.window_latents, shipped.world.sampler.sigmas}, at::kCPU, at::kFloat);
    walk.set_weights(shipped.parameters);
    walk.begin(test::value_of(shipped.world.start_latent(start)).unsqueeze(0), camera(0), at::zeros({1}, at::kLong));
    for (std::int64_t k = 0; k < expected.size(0); ++k) {
        const auto row = static_cast<std::size_t>(k) + 1;
        const at::Tensor noise =
            gaussian_tensor(fnv1a64("noise." + std::to_string(k)) ^ seed, expected[k].sizes().vec());
        const auto chunk =
            walk.generate(noise.unsqueeze(0), camera(row), at::tensor({json.at("labels").at(row).get<float>()}));
        EXPECT_LE(relative_difference(chunk.latents[0], expected[k]), 1e-4) << "chunk " << k;
    }
}

// A window of 3 over 9 chunks: the ring is written round twice. Two walks in two places, one of them without pose.
TEST_F(BatchedWalkTest, WalksAsOneAlone) {
    const DitConfig config = test::small_network();
    const LatentGeometry geometry = test::small_geometry();
    const Parameters parameters = test::lively_parameters(config, 11, at::kDouble);
    const int window = 3;
    const std::int64_t chunks = 9;
    SamplerConfig sampler;
    sampler.timesteps = {1000, 600};
    sampler.sigmas = {1, 0.6};
    const Clip clip = test::random_clip(config, geometry, 2, chunks, 12, at::kDouble);
    const at::Tensor with_pose = at::tensor({1.0F, 0.0F});

    BatchedWalk walk(config, geometry, {window, sampler.sigmas}, at::kCPU, at::kDouble);
    walk.set_weights(parameters);
    walk.begin(clip.context.select(1, 0), clip.cameras.select(1, 0), clip.worlds, with_pose);
    std::vector<at::Tensor> latents, middle;
    for (std::int64_t k = 0; k < chunks; ++k) {
        const auto chunk =
            walk.generate(clip.noisy.select(1, k), clip.cameras.select(1, k + 1), clip.labels.select(1, k + 1));
        latents.push_back(chunk.latents);
        middle.push_back(chunk.middle);
    }

    const auto dit =
        std::make_shared<WanDit>(test::value_of(WanDit::load(config, parameters.source(), at::kCPU, at::kDouble)));
    for (std::int64_t i = 0; i < 2; ++i) {
        std::vector<at::Tensor> inputs;
        Rollout::Config rollout_config = test::ShippedWorld::rollout_config(geometry, sampler);
        rollout_config.on_step = [&](int step, const at::Tensor& input, const at::Tensor&) {
            if (step == 1) inputs.push_back(input.clone());
        };
        const auto noise = [&](std::int64_t latent, int, const std::vector<std::int64_t>&) {
            return clip.noisy[i][latent - 1];
        };
        Rollout rollout(dit, test::cache_for(config, geometry, window, at::kDouble), rollout_config, noise);
        const auto input_of = [&](std::int64_t row) {
            const float* c = clip.cameras[i][row].const_data_ptr<float>();
            ChunkInput input =
                test::chunk_input(*dit, geometry, {c[0], c[1], c[2], c[3]},
                                  row == 0 ? 0 : clip.labels[i][row].item<int>(), clip.worlds[i].item<int>());
            if (i == 1) input.token_bias.reset();
            return input;
        };
        rollout.prefill(clip.context[i].narrow(0, 0, 1), input_of(0));
        for (std::int64_t k = 0; k < chunks; ++k) {
            const at::Tensor expected = rollout.generate(input_of(k + 1))[0];
            const auto at = static_cast<std::size_t>(k);
            EXPECT_LE(relative_difference(latents[at][i], expected), 1e-5) << "walk " << i << ", chunk " << k;
            EXPECT_LE(relative_difference(middle[at][i], inputs[at][0]), 1e-5) << "walk " << i << ", chunk " << k;
        }
    }
}

TEST_F(BatchedWalkTest, BeginsAnewWithoutTraces) {
    const DitConfig config = test::small_network();
    const LatentGeometry geometry = test::small_geometry();
    BatchedWalk walk(config, geometry, {2, {1.0, 0.6}}, at::kCPU, at::kFloat);
    walk.set_weights(test::lively_parameters(config, 13));
    const Clip clip = test::random_clip(config, geometry, 2, 4, 14);
    const auto go = [&] {
        walk.begin(clip.context.select(1, 0), clip.cameras.select(1, 0), clip.worlds);
        at::Tensor last;
        for (std::int64_t k = 0; k < 4; ++k) {
            last = walk.generate(clip.noisy.select(1, k), clip.cameras.select(1, k + 1), clip.labels.select(1, k + 1))
                       .latents;
        }
        return last;
    };
    const at::Tensor first = go();
    EXPECT_TRUE(at::equal(first, go()));
    EXPECT_FALSE(first.requires_grad());
    EXPECT_EQ(walk.walks(), 2);
}

} // namespace
} // namespace wander::train
