// Batches of the transformer's training, own roll-outs, and that it learns.

#include "generator/train/dit_phase.hpp"

#include "generator/device.hpp"
#include "tests/unit/train/small_network.hpp"

#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>

namespace wander::train {
namespace {

constexpr std::int64_t kWalks = 6, kWalkLatents = 12; // latents after the start picture

// A world in which a latent is a smooth function of the camera and the place.
TrainingData small_data() {
    const DitConfig config = test::small_network();
    const LatentGeometry geometry = test::small_geometry();
    const Clip walks = test::random_clip(config, geometry, kWalks, kWalkLatents, 21);
    TrainingData data;
    data.poses = walks.cameras;
    data.labels = walks.labels;
    data.labels.select(1, 0).fill_(0);
    data.worlds = walks.worlds;
    at::Generator random = test::generator_of(22);
    const at::Tensor waves =
        at::empty({2, 4, config.channels, geometry.rows, geometry.cols}, at::kFloat).normal_(0, 1, random);
    const at::Tensor c = data.poses;
    const at::Tensor features = at::stack(
        {(c.select(2, 0) * 0.8).sin(), (c.select(2, 1) * 0.8).cos(), c.select(2, 2).sin(), (c.select(2, 3) * 3).cos()},
        2);
    data.latents = at::einsum("nti,nichw->ntchw", {features, waves.index_select(0, data.worlds)}).to(at::kHalf);
    return data;
}

DitPhaseConfig small_phase() {
    DitPhaseConfig config;
    config.batch = 4;
    config.latents = 4;
    config.refresh_steps = 5;
    config.own.walks = 3;
    config.own.clips = 7; // two refreshes
    config.own.lengths = {4, 8};
    config.own.walk.window = 4;
    return config;
}

class DitPhaseTest : public ::testing::Test {
protected:
    void SetUp() override { set_own_thread_count(1); }

    DitConfig config_ = test::small_network();
    LatentGeometry geometry_ = test::small_geometry();
    TrainingData data_ = small_data();
    Parameters parameters_ = random_dit(config_.tensor_shapes(), at::kCPU, test::generator_of(7));
    TrainDit dit_{config_, geometry_, parameters_, at::kFloat};
};

TEST_F(DitPhaseTest, TrueClipsHoldTheTruth) {
    DitPhaseConfig plain = small_phase();
    plain.own_share = 0;
    plain.context_noise = 0;
    plain.low_frequency = 0;
    DitPhase phase(dit_, parameters_, data_, plain, 1);
    int at_start = 0, without_pose = 0, listed = 0, latents = 0;
    for (int i = 0; i < 50; ++i) {
        const DitPhase::Batch batch = phase.next_batch(0.5);
        EXPECT_FALSE(batch.own);
        const Clip& clip = batch.clip;
        for (std::int64_t b = 0; b < plain.batch; ++b) {
            // Which walk: the one with this start picture and these poses.
            std::int64_t walk = -1, first = -1;
            for (std::int64_t w = 0; w < kWalks && walk < 0; ++w) {
                for (std::int64_t s = 1; s <= kWalkLatents - plain.latents + 1; ++s) {
                    if (at::equal(data_.poses[w].narrow(0, s, plain.latents),
                                  clip.cameras[b].narrow(0, 1, plain.latents))) {
                        walk = w;
                        first = s;
                    }
                }
            }
            ASSERT_GE(walk, 0);
            at_start += first == 1 ? 1 : 0;
            EXPECT_TRUE(at::equal(clip.cameras[b][0], data_.poses[walk][0]));
            EXPECT_TRUE(at::equal(clip.context[b][0], data_.latents[walk][0].to(at::kFloat)));
            EXPECT_TRUE(at::equal(clip.context[b].narrow(0, 1, plain.latents),
                                  data_.latents[walk].narrow(0, first, plain.latents).to(at::kFloat)));
            EXPECT_EQ(clip.worlds[b].item<std::int64_t>(), data_.worlds[walk].item<std::int64_t>());
            EXPECT_TRUE(at::equal(clip.labels[b].narrow(0, 1, plain.latents),
                                  data_.labels[walk].narrow(0, first, plain.latents)));
        }
        // x0 = x_t - sigma v.
        const at::Tensor x0 = clip.noisy - clip.sigma.view({plain.batch, plain.latents, 1, 1, 1}) * batch.target;
        EXPECT_LE((x0 - clip.context.narrow(1, 1, plain.latents)).abs().max().item<float>(), 1e-5);
        EXPECT_GE(clip.sigma.min().item<float>(), 0.2F);
        EXPECT_LE(clip.sigma.max().item<float>(), 1.0F);
        listed += static_cast<int>(at::logical_or(clip.sigma.eq(1.0F), clip.sigma.eq(0.6F)).sum().item<std::int64_t>());
        latents += static_cast<int>(clip.sigma.numel());
        without_pose += static_cast<int>(clip.with_pose.eq(0).sum().item<std::int64_t>());
    }
    // 200 clips, 800 latents: shares within four deviations.
    EXPECT_NEAR(without_pose / 200.0, 0.1, 0.09);
    EXPECT_NEAR(static_cast<double>(listed) / latents, 0.6, 0.07);
    EXPECT_NEAR(at_start / 200.0, 0.1 + 0.9 / 9, 0.12);
}

TEST_F(DitPhaseTest, ErrorsOfTheContextLeaveTheTargetAlone) {
    DitPhaseConfig noisy = small_phase();
    noisy.own_share = 0;
    noisy.context_noise_share = 0;
    noisy.low_frequency_share = 1;
    DitPhase phase(dit_, parameters_, data_, noisy, 2);
    const DitPhase::Batch batch = phase.next_batch(0);
    const at::Tensor x0 = batch.clip.noisy - batch.clip.sigma.view({4, 4, 1, 1, 1}) * batch.target;
    const at::Tensor error = batch.clip.context.narrow(1, 1, 4) - x0;
    // The same for all latents of a clip, another one for each clip, of the stated size.
    EXPECT_LE((error - error.narrow(1, 0, 1)).abs().max().item<float>(), 1e-5);
    EXPECT_GT((error[0] - error[1]).abs().max().item<float>(), 1e-2);
    EXPECT_NEAR(error.std().item<double>(), 0.12 * std::sqrt(2), 0.06);
    // The sink is what it was: the start picture is always known.
    bool known = false;
    for (std::int64_t w = 0; w < kWalks; ++w)
        known |= at::equal(batch.clip.context[0][0], data_.latents[w][0].to(at::kFloat));
    EXPECT_TRUE(known);
}

TEST_F(DitPhaseTest, OwnClipsFollowTheirWalks) {
    parameters_ = test::lively_parameters(config_, 3);
    DitPhaseConfig own = small_phase();
    own.own_share = 1;
    own.low_frequency = 0;
    own.own_middle = 0.5;
    DitPhase phase(dit_, parameters_, data_, own, 3);
    int middle = 0;
    for (int i = 0; i < 12; ++i) {
        const DitPhase::Batch batch = phase.next_batch(0);
        EXPECT_TRUE(batch.own);
        EXPECT_EQ(phase.own_clips(), i < 5 ? 3 : 6);
        const Clip& clip = batch.clip;
        for (std::int64_t b = 0; b < own.batch; ++b) {
            bool found = false;
            for (std::int64_t w = 0; w < kWalks; ++w) {
                for (std::int64_t s = 1; s + own.latents <= 1 + kWalkLatents; ++s) {
                    if (!at::equal(data_.poses[w].narrow(0, s, own.latents),
                                   clip.cameras[b].narrow(0, 1, own.latents))) {
                        continue;
                    }
                    found = true;
                    EXPECT_EQ((s - 1) % own.latents, 0); // walks go on by whole clips
                    const at::Tensor truth = data_.latents[w].narrow(0, s, own.latents).to(at::kFloat);
                    EXPECT_GT((clip.context[b].narrow(0, 1, own.latents) - truth).abs().max().item<float>(), 1e-2);
                    // The target leads to the truth, wherever the noisy state comes from.
                    const at::Tensor x0 = clip.noisy[b] - clip.sigma[b].view({4, 1, 1, 1}) * batch.target[b];
                    EXPECT_LE((x0 - truth).abs().max().item<float>(), 1e-4);
                }
            }
            EXPECT_TRUE(found);
        }
        middle += static_cast<int>(clip.sigma.eq(0.6F).sum().item<std::int64_t>());
    }
    EXPECT_GT(middle, 12 * 16 / 2);
}

TEST_F(DitPhaseTest, GoesOnWhereItStopped) {
    DitPhaseConfig config = small_phase();
    config.own_share = 0;
    DitPhase first(dit_, parameters_, data_, config, 4);
    for (int i = 0; i < 3; ++i) first.next_batch(0);
    const auto state = first.state();
    DitPhase second(dit_, parameters_, data_, config, 99);
    ASSERT_TRUE(second.restore(state));
    for (int i = 0; i < 3; ++i) {
        const DitPhase::Batch a = first.next_batch(0), b = second.next_batch(0);
        EXPECT_TRUE(at::equal(a.clip.noisy, b.clip.noisy));
        EXPECT_TRUE(at::equal(a.clip.context, b.clip.context));
        EXPECT_TRUE(at::equal(a.target, b.target));
    }
    auto damaged = state;
    damaged.erase("device");
    EXPECT_FALSE(second.restore(damaged));
}

TEST_F(DitPhaseTest, AfterARestartTheRingIsFilledAgain) {
    DitPhaseConfig config = small_phase();
    config.own_share = 1;
    DitPhase first(dit_, parameters_, data_, config, 6);
    for (int i = 0; i < 8; ++i) first.next_batch(0); // two refreshes: a full ring
    ASSERT_EQ(first.own_clips(), 6);
    DitPhase second(dit_, parameters_, data_, config, 7);
    ASSERT_TRUE(second.restore(first.state()));
    EXPECT_EQ(second.own_clips(), 0);
    EXPECT_TRUE(second.next_batch(0).own);
    EXPECT_EQ(second.own_clips(), 6);
}

// Plain steps of Adam, own roll-outs from the middle on.
TEST_F(DitPhaseTest, LossFalls) {
    Parameters average = parameters_.deep_copy();
    DitPhaseConfig config = small_phase();
    config.own_from = 0.5;
    DitPhase phase(dit_, average, data_, config, 5);
    parameters_.require_gradients(true);
    std::map<std::string, std::pair<at::Tensor, at::Tensor>> moments;
    for (const auto& [name, tensor] : parameters_.tensors())
        moments[name] = {at::zeros_like(tensor), at::zeros_like(tensor)};
    constexpr int kSteps = 120;
    std::vector<double> losses;
    for (int step = 1; step <= kSteps; ++step) {
        const at::Tensor loss = phase.loss(static_cast<double>(step) / kSteps);
        losses.push_back(loss.item<double>());
        loss.backward();
        const c10::NoGradGuard no_gradients;
        for (const auto& [name, tensor] : parameters_.tensors()) {
            ASSERT_TRUE(tensor.grad().defined()) << name;
            auto& [m, v] = moments.at(name);
            m.lerp_(tensor.grad(), 0.1);
            v.lerp_(tensor.grad().square(), 0.02);
            const at::Tensor change =
                (m / (1 - std::pow(0.9, step))) / ((v / (1 - std::pow(0.98, step))).sqrt() + 1e-8);
            tensor.add_(change, -2e-3);
            average.at(name).lerp_(tensor, 0.05);
        }
        parameters_.clear_gradients();
    }
    const auto mean = [&](int begin, int end) {
        double sum = 0;
        for (int i = begin; i < end; ++i) sum += losses[static_cast<std::size_t>(i)];
        return sum / (end - begin);
    };
    const double start = mean(0, 5), before_own = mean(50, 60), end = mean(110, 120);
    EXPECT_LE(before_own, 0.75 * start);
    EXPECT_LE(end, 0.75 * start);
    EXPECT_GT(phase.own_clips(), 0);
    RecordProperty("losses", std::to_string(start) + " " + std::to_string(before_own) + " " + std::to_string(end));
    std::printf("loss %.3f, after 60 steps %.3f, after 120 %.3f\n", start, before_own, end);
}

} // namespace
} // namespace wander::train
