// The trainer's autoencoder and data on an NVIDIA GPU in bfloat16 against the CPU in float32.

#include "generator/train/train_vae.hpp"
#include "generator/device.hpp"
#include "generator/train/decoder_phase.hpp"
#include "generator/train/optimizer.hpp"
#include "generator/train/training_data.hpp"
#include "generator/train/vae_phase.hpp"
#include "generator/weights/safetensors.hpp"
#include "generator/world/embedded_world.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace wander::train {
namespace {

const std::filesystem::path kAssets = std::filesystem::path(WANDER_SOURCE_DIR) / "assets";

class TrainVaeGpu : public ::testing::Test {
protected:
    void SetUp() override {
        auto picked = pick_device("cuda", "bf16", 1);
        ASSERT_TRUE(picked) << picked.error().message;
        device_ = picked->device;
        const auto world = EmbeddedWorld::read(kAssets / "world");
        ASSERT_TRUE(world);
        config_ = world->vae;
        const auto file = Safetensors::open(kAssets / "world/vae.safetensors");
        ASSERT_TRUE(file);
        const TensorSource source = [file](const std::string& name, const std::vector<std::int64_t>& shape) {
            return file->tensor(name, shape);
        };
        auto here = Parameters::load(config_.tensor_shapes(true, true), source, at::kCPU, "autoencoder");
        auto there = Parameters::load(config_.tensor_shapes(true, true), source, device_, "autoencoder");
        ASSERT_TRUE(here && there);
        here_ = std::move(*here);
        there_ = std::move(*there);
        there_.require_gradients(true);
        for (const char* name : {"village", "mushrooms"}) {
            auto theme = Theme::read(kAssets / "themes" / (std::string(name) + ".json"));
            ASSERT_TRUE(theme);
            themes_.push_back(std::move(*theme));
        }
        plan_.walks_per_theme = 1;
        plan_.latents = 4;
    }

    at::Device device_ = at::kCPU;
    VaeConfig config_;
    Parameters here_, there_;
    std::vector<Theme> themes_;
    WalkPlan plan_;
};

TEST_F(TrainVaeGpu, TrainingDataIsTheCpus) {
    const TrainVae slow(config_, here_, at::kFloat), fast(config_, there_, at::kBFloat16);
    const auto a = make_training_data(themes_, slow, plan_, {});
    const auto b = make_training_data(themes_, fast, plan_, {});
    ASSERT_TRUE(a) << a.error().message;
    ASSERT_TRUE(b) << b.error().message;
    EXPECT_TRUE(b->latents.is_cuda() && b->poses.is_cuda() && b->labels.is_cuda() && b->worlds.is_cuda());
    EXPECT_TRUE(a->poses.equal(b->poses.cpu()));
    const at::Tensor wanted = a->latents.to(at::kFloat), found = b->latents.cpu().to(at::kFloat);
    EXPECT_LE(((found - wanted).norm() / wanted.norm()).item<double>(), 0.03);

    const at::Tensor shown = fast.decode(b->latents).detach().cpu();
    const at::Tensor expected = slow.decode(a->latents).detach();
    const double square = (shown - expected).square().mean().item<double>();
    EXPECT_GE(-10 * std::log10(square / 4), 34);
}

TEST_F(TrainVaeGpu, PhasesRunAndLeaveFiniteGradients) {
    TrainVae vae(config_, there_, at::kBFloat16);
    auto pool = make_frame_pool(themes_, plan_, {}, device_);
    ASSERT_TRUE(pool) << pool.error().message;
    VaePhaseConfig together;
    together.clips = 2;
    VaePhase first(vae, *pool, together, 1);
    first.loss(0).backward();
    for (const auto& [name, tensor] : there_.tensors())
        EXPECT_TRUE(tensor.grad().defined() && at::isfinite(tensor.grad()).all().item<bool>()) << name;
    there_.clear_gradients();
    const at::Tensor truth = encode_pool(*pool, vae).latents;
    DecoderPhaseConfig config;
    config.clips = 2;
    DecoderPhase phase(vae, *pool, truth, truth, config, 1);
    phase.loss(0.5).backward();
    for (const auto& [name, tensor] : there_.tensors()) {
        ASSERT_EQ(tensor.grad().defined(), DecoderPhase::trains(name)) << name;
        if (!tensor.grad().defined()) continue;
        EXPECT_TRUE(at::isfinite(tensor.grad()).all().item<bool>()) << name;
    }
    EXPECT_GE(phase.psnr().item<double>(), 25) << "shipped weights, four latents from the start";
}

} // namespace
} // namespace wander::train
