// Phases of the autoencoder: what they compare, what they train, and that it gets better.

#include "generator/train/decoder_phase.hpp"
#include "generator/train/optimizer.hpp"
#include "generator/train/vae_phase.hpp"
#include "tests/unit/train/small_vae.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

namespace wander::train {
namespace {

FramePool small_pool() {
    const std::int64_t walks = 3, latents = 12;
    FramePool pool;
    pool.frames = smooth_frames(walks, 1 + 4 * latents, 16, 32).add(1).mul(127.5).round().to(at::kByte);
    pool.poses = at::zeros({walks, 1 + latents, 4});
    pool.labels = at::zeros({walks, 1 + latents});
    pool.worlds = at::zeros({walks}, at::kLong);
    return pool;
}

VaePhaseConfig small_phase() {
    VaePhaseConfig config;
    config.clips = 4;
    config.frames = 5;
    return config;
}

DecoderPhaseConfig small_decoder_phase() {
    DecoderPhaseConfig config;
    config.clips = 3;
    config.first_latents = 2;
    config.middle_latents = 4;
    config.discriminator.width = 4;
    return config;
}

at::Generator seed(std::uint64_t value) { return at::make_generator<at::CPUGeneratorImpl>(value); }

double mean_loss(const std::function<at::Tensor()>& loss, int times) {
    double sum = 0;
    for (int i = 0; i < times; ++i) sum += loss().item<double>();
    return sum / times;
}

TEST(PictureLoss, IsWhatItSays) {
    const at::Tensor truth = at::zeros({1, 2, 3, 3});
    at::Tensor made = truth.clone();
    made[0][1].fill_(0.5); // the lower of two rows
    const PictureLoss loss = picture_loss(made, truth);
    EXPECT_FLOAT_EQ(loss.absolute.item<float>(), 0.25f);
    EXPECT_FLOAT_EQ(loss.gradient.item<float>(), 0.5f) << "one step between rows, none between columns";
    EXPECT_FLOAT_EQ(loss.square.item<float>(), 0.125f);
    EXPECT_NEAR(psnr_of_square(at::full({}, 4e-3)).item<double>(), 30, 1e-4);
}

TEST(NoisyLatents, HalfOfTheClipsGetNoiseUpToTwiceTheShare) {
    at::Generator random = seed(1);
    const at::Tensor latents = at::zeros({1000, 2, 3, 4, 4});
    const at::Tensor noisy = noisy_latents(latents, at::full({3, 1, 1}, 2.0), 0.1, random);
    const at::Tensor deviation = noisy.flatten(1).std(1);
    EXPECT_NEAR((deviation == 0).to(at::kDouble).mean().item<double>(), 0.5, 0.06);
    EXPECT_NEAR(deviation.max().item<double>(), 0.4, 0.08);
    EXPECT_NEAR(deviation.mean().item<double>(), 0.1, 0.02);
}

TEST(VaePhase, LossFalls) {
    Parameters parameters = random_vae(small_vae_config(), at::kCPU, seed(1));
    TrainVae vae(small_vae_config(), parameters, at::kFloat);
    VaePhase phase(vae, small_pool(), small_phase(), 7);
    Optimizer optimizer({parameters.tensors().begin(), parameters.tensors().end()}, vae_weight_kind);
    const double before = mean_loss([&] { return phase.loss(0); }, 4);
    for (int step = 0; step < 40; ++step) {
        phase.loss(step / 40.0).backward();
        optimizer.step(1);
    }
    const double after = mean_loss([&] { return phase.loss(1); }, 4);
    EXPECT_LT(after, 0.5 * before);
    EXPECT_GT(phase.psnr().item<double>(), 8);
}

TEST(VaePhase, MeasuresTheScaleOfItsLatents) {
    Parameters parameters = random_vae(small_vae_config(), at::kCPU, seed(1));
    TrainVae vae(small_vae_config(), parameters, at::kFloat);
    const FramePool pool = small_pool();
    VaePhase(vae, pool, small_phase(), 0).measure_latent_scale();
    const at::Tensor latents = vae.encode(pool.frames).detach().narrow(1, 1, 12);
    for (std::int64_t channel = 0; channel < 4; ++channel) {
        EXPECT_NEAR(latents.select(2, channel).mean().item<double>(), 0, 1e-3);
        EXPECT_NEAR(latents.select(2, channel).square().mean().item<double>(), 1, 1e-3);
    }
}

TEST(VaePhase, TheSameSeedGivesTheSameLoss) {
    Parameters parameters = random_vae(small_vae_config(), at::kCPU, seed(1));
    TrainVae vae(small_vae_config(), parameters, at::kFloat);
    const auto run = [&](std::uint64_t number) {
        return VaePhase(vae, small_pool(), small_phase(), number).loss(0).item<float>();
    };
    EXPECT_EQ(run(1), run(1));
    EXPECT_NE(run(1), run(2));
}

TEST(VaePhase, GoesOnFromItsState) {
    Parameters parameters = random_vae(small_vae_config(), at::kCPU, seed(1));
    TrainVae vae(small_vae_config(), parameters, at::kFloat);
    VaePhase a(vae, small_pool(), small_phase(), 1), b(vae, small_pool(), small_phase(), 2);
    a.loss(0);
    ASSERT_TRUE(b.restore(a.state()));
    EXPECT_EQ(a.loss(0).item<float>(), b.loss(0).item<float>());
    EXPECT_FALSE(b.restore({}));
}

class DecoderPhaseTest : public ::testing::Test {
protected:
    Parameters parameters_ = random_vae(small_vae_config(), at::kCPU, seed(1));
    TrainVae vae_{small_vae_config(), parameters_, at::kFloat};
    FramePool pool_ = small_pool();
    at::Tensor truth_ = encode_pool(pool_, vae_).latents;
};

TEST_F(DecoderPhaseTest, TrainsTheDecoderAloneAndLossFalls) {
    DecoderPhase phase(vae_, pool_, truth_, {}, small_decoder_phase(), 5);
    NamedTensors decoder;
    for (const auto& [name, tensor] : parameters_.tensors()) {
        if (DecoderPhase::trains(name)) decoder.emplace_back(name, tensor);
    }
    Optimizer optimizer(decoder, vae_weight_kind);
    const double before = mean_loss([&] { return phase.loss(0); }, 6);
    for (int step = 0; step < 40; ++step) {
        phase.loss(0.01).backward();
        for (const auto& [name, tensor] : parameters_.tensors())
            EXPECT_EQ(tensor.grad().defined(), DecoderPhase::trains(name)) << name;
        optimizer.step(1);
    }
    const double after = mean_loss([&] { return phase.loss(0); }, 6);
    EXPECT_LT(after, 0.6 * before);
}

TEST_F(DecoderPhaseTest, TheDiscriminatorJoinsInAfterItsShare) {
    DecoderPhase phase(vae_, pool_, truth_, {}, small_decoder_phase(), 5);
    const auto steps = [&] { return phase.discriminator().state().at("discriminator/steps").item<std::int64_t>(); };
    int averaged = 0;
    phase.average_gradients([&](std::vector<at::Tensor>& gradients) {
        ++averaged;
        EXPECT_EQ(gradients.size(), 10U);
    });
    phase.loss(0.09);
    EXPECT_EQ(steps(), 0);
    phase.loss(0.11).backward();
    EXPECT_EQ(steps(), 1);
    EXPECT_EQ(averaged, 1);
    for (const auto& [name, tensor] : phase.discriminator().state())
        EXPECT_TRUE(at::isfinite(tensor).all().item<bool>()) << name;
}

TEST_F(DecoderPhaseTest, OwnLatentsAreTakenInTheirShare) {
    DecoderPhaseConfig config = small_decoder_phase();
    config.latent_noise = 0;
    config.discriminator_from = 1;
    config.own_share = 1;
    // Own latents that are the truth change nothing; others do.
    const auto loss = [&](const at::Tensor& own) {
        return DecoderPhase(vae_, pool_, truth_, own, config, 5).loss(0).item<float>();
    };
    EXPECT_EQ(loss(truth_), loss({}));
    EXPECT_NE(loss(truth_ + 1), loss({}));
    config.own_share = 0;
    EXPECT_EQ(loss(truth_ + 1), loss({}));
}

TEST_F(DecoderPhaseTest, PicturesBelongToTheirLatents) {
    // Truth that is what the decoder makes of its latents: little is left to learn, unless pictures are out of step.
    const at::NoGradGuard no_gradients;
    truth_ = at::randn(truth_.sizes(), seed(8));
    parameters_.at("decoder.head.2.weight").detach().mul_(0.2); // within [-1, 1]
    const at::Tensor frames = vae_.decode(truth_);
    ASSERT_LT(frames.abs().max().item<double>(), 1);
    DecoderPhaseConfig config = small_decoder_phase();
    config.latent_noise = 0;
    config.discriminator_from = 1;
    config.clips = 16;
    config.gradient_weight = 0;
    const auto loss = [&](const at::Tensor& shown, double first_share) {
        pool_.frames = shown.add(1).mul(127.5).round().to(at::kByte);
        config.first_share = first_share;
        return DecoderPhase(vae_, pool_, truth_, {}, config, 5).loss(0).item<double>();
    };
    const double chance = loss(frames.roll(17, 1), 0);
    EXPECT_LT(loss(frames, 1), 0.01) << "the beginning of a walk: rounding to levels";
    EXPECT_LT(loss(frames, 0), 0.4 * chance) << "the middle: what lies before the clip is missing";
    EXPECT_GT(loss(frames.roll(2, 1), 0), 2 * loss(frames, 0));
    EXPECT_GT(loss(frames.roll(-2, 1), 0), 2 * loss(frames, 0));
}

TEST(Discriminator, LearnsToTellAndItsLayersHaveNormOne) {
    DiscriminatorConfig config;
    config.width = 4;
    Discriminator judge(config, at::kCPU, at::kFloat, 1);
    at::Generator random = seed(2);
    double first = 0, last = 0;
    for (int step = 0; step < 80; ++step) {
        const at::Tensor smooth = smooth_frames(2, 3, 16, 16).flatten(0, 1);
        const at::Tensor rough = smooth + at::randn(smooth.sizes(), random) * 0.5;
        const double loss = judge.step(rough, smooth).item<double>();
        if (step == 0) first = loss;
        last = loss;
    }
    EXPECT_LT(last, 0.8 * first);
    const auto state = judge.state();
    for (int i = 0; i < 5; ++i) {
        const std::string name = "discriminator/" + std::to_string(i) + "/";
        const at::Tensor matrix = state.at(name + "weight").flatten(1);
        const double found = state.at(name + "left").dot(matrix.mv(state.at(name + "right"))).item<double>();
        const double norm = std::get<1>(at::linalg_svd(matrix)).max().item<double>();
        EXPECT_NEAR(found / norm, 1, 0.1) << i << ": one iteration a step follows the weights";
    }
}

TEST(Discriminator, StateBringsItBack) {
    DiscriminatorConfig config;
    config.width = 4;
    Discriminator a(config, at::kCPU, at::kFloat, 1), b(config, at::kCPU, at::kFloat, 9);
    const at::Tensor smooth = smooth_frames(1, 3, 16, 16).flatten(0, 1);
    a.step(-smooth, smooth);
    std::map<std::string, at::Tensor> saved;
    for (const auto& [name, tensor] : a.state()) saved.emplace(name, tensor.clone());
    ASSERT_TRUE(b.load_state(saved));
    EXPECT_EQ(a.step(-smooth, smooth).item<float>(), b.step(-smooth, smooth).item<float>());
    EXPECT_TRUE(a.judge(smooth, false).score.equal(b.judge(smooth, false).score));
    saved.erase("discriminator/2/bias");
    EXPECT_FALSE(b.load_state(saved));
}

TEST(Discriminator, JudgingForOthersLeavesItsOwnGradientsAlone) {
    DiscriminatorConfig config;
    config.width = 4;
    Discriminator judge(config, at::kCPU, at::kFloat, 1);
    at::Tensor frames = smooth_frames(1, 2, 16, 16).flatten(0, 1).set_requires_grad(true);
    judge.judge(frames, false).score.mean().backward();
    EXPECT_GT(frames.grad().abs().max().item<double>(), 0);
    EXPECT_FALSE(judge.judge(frames.detach(), false).score.requires_grad());
    EXPECT_TRUE(judge.judge(frames.detach(), true).score.requires_grad());
}

} // namespace
} // namespace wander::train
