// The VAE without any checkpoint: fused norm against its twin, streaming against batches, shapes and counts.

#include "generator/wan/vae.hpp"
#include "generator/wan/decode_ops.hpp"
#include "generator/wan/vae_norm_cpu.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace wander {
namespace {

TEST(RmsSilu, EqualsItsTwinAtOddWidthsToo) {
    at::manual_seed(1);
    for (int channels : {16, 48, 50, 7}) {
        const at::Tensor x = at::randn({33, channels}) * 5;
        const at::Tensor gamma = at::rand({channels}) + 0.5;
        for (bool silu : {true, false}) {
            const RmsSilu task{33, channels, gamma.const_data_ptr<float>(), 1e-6f, silu};
            at::Tensor fast = at::empty_like(x);
            at::Tensor slow = at::empty_like(x);
            rms_silu(task, x.const_data_ptr<float>(), fast.mutable_data_ptr<float>());
            rms_silu_reference(task, x.const_data_ptr<float>(), slow.mutable_data_ptr<float>());
            EXPECT_LE((fast - slow).abs().max().item<float>(), 1e-6f * slow.abs().max().item<float>())
                << channels << " channels";

            at::Tensor half = at::empty_like(x, at::kBFloat16);
            const at::Tensor x16 = x.to(at::kBFloat16);
            rms_silu_bf16(task, static_cast<const std::uint16_t*>(x16.const_data_ptr()),
                          static_cast<std::uint16_t*>(half.mutable_data_ptr()));
            const at::Tensor wide = x16.to(at::kFloat);
            rms_silu_reference(task, wide.const_data_ptr<float>(), slow.mutable_data_ptr<float>());
            EXPECT_TRUE(at::allclose(half.to(at::kFloat), slow, 1.0 / 256, 1e-6));
        }
    }
}

VaeConfig config_of(VaeConfig::Layout layout) {
    VaeConfig config;
    config.layout = layout;
    config.dim = 8;
    config.patch = layout == VaeConfig::Layout::embedded ? 2 : 1;
    config.encoder_channels = {8, 12, 16};
    config.decoder_channels = {8, 12, 16};
    config.latent_mean.assign(16, 0.1);
    config.latent_std.assign(16, 1.5);
    return config;
}

WanVae random_vae(const VaeConfig& config, at::ScalarType compute) {
    at::manual_seed(7);
    auto vae = WanVae::load(
        config,
        [](const std::string& name, const std::vector<std::int64_t>& shape) -> Result<at::Tensor> {
            const at::Tensor r = at::rand(shape, at::kDouble) * 2 - 1;
            if (name.ends_with("gamma")) return at::Tensor(r * 0.2 + 1);
            return at::Tensor(r * (name.ends_with("bias") ? 0.1
                                                          : std::sqrt(3.0 * static_cast<double>(shape[0]) /
                                                                      static_cast<double>(r.numel()))));
        },
        at::kCPU, compute, true, true);
    EXPECT_TRUE(vae);
    return *vae;
}

class VaeLayouts : public ::testing::TestWithParam<VaeConfig::Layout> {};
INSTANTIATE_TEST_SUITE_P(Both, VaeLayouts, ::testing::Values(VaeConfig::Layout::wan21, VaeConfig::Layout::embedded));

TEST_P(VaeLayouts, OneLatentACallEqualsSeveralACall) {
    const WanVae vae = random_vae(config_of(GetParam()), at::kDouble);
    const at::Tensor latents = at::randn({5, 16, 3, 4}, at::kDouble);
    auto stream = vae.decode_stream();
    const at::Tensor together = stream.decode(latents);
    ASSERT_EQ(together.sizes(), (std::vector<std::int64_t>{17, 3, 24, 32}));
    stream.reset();
    std::vector<at::Tensor> parts;
    for (int i = 0; i < 5; ++i) {
        parts.push_back(stream.decode(latents.narrow(0, i, 1)));
        EXPECT_EQ(parts.back().size(0), i == 0 ? 1 : 4);
    }
    EXPECT_LE((at::cat(parts) - together).abs().max().item<double>(), 1e-12);
}

TEST_P(VaeLayouts, TheSecondLatentsTimeHistoryIsEmpty) {
    // Two videos that differ in their first latent only by what the time convolutions would remember of it: were the
    // first latent part of their history, a reset in between could not change the doubled frames of a state-free
    // network.
    const WanVae vae = random_vae(config_of(GetParam()), at::kDouble);
    auto stream = vae.decode_stream();
    const at::Tensor latents = at::randn({2, 16, 3, 4}, at::kDouble);
    const at::Tensor first = stream.decode(latents.narrow(0, 0, 1));
    const at::Tensor second = stream.decode(latents.narrow(0, 1, 1));
    stream.reset();
    const at::Tensor again = stream.decode(latents.narrow(0, 0, 1));
    EXPECT_TRUE(at::equal(first, again));
    EXPECT_TRUE(at::equal(second, stream.decode(latents.narrow(0, 1, 1))));
}

TEST_P(VaeLayouts, FloatFollowsDoubleAndEncodingCountsFramesAsOneAndFours) {
    const VaeConfig config = config_of(GetParam());
    const WanVae exact = random_vae(config, at::kDouble);
    const WanVae single = random_vae(config, at::kFloat);
    const at::Tensor frames = at::rand({9, 3, 32, 48}, at::kDouble) * 2 - 1;
    const at::Tensor want = exact.encode(frames);
    ASSERT_EQ(want.sizes(), (std::vector<std::int64_t>{3, 16, 4, 6}));
    const at::Tensor got = single.encode(frames.to(at::kFloat));
    EXPECT_LE((got.to(at::kDouble) - want).abs().max().item<double>(), 2e-5 * want.abs().max().item<double>());
    auto a = exact.decode_stream();
    auto b = single.decode_stream();
    const at::Tensor x = a.decode(want);
    EXPECT_LE((b.decode(want).to(at::kDouble) - x).abs().max().item<double>(), 2e-5 * x.abs().max().item<double>());
}

TEST_P(VaeLayouts, EncodingInPartsEqualsEncodingAtOnce) {
    const WanVae vae = random_vae(config_of(GetParam()), at::kDouble);
    const at::Tensor frames = at::rand({1 + 4 * 11, 3, 16, 32}, at::kDouble) * 2 - 1;
    const at::Tensor whole = vae.encode(frames, 100);
    ASSERT_EQ(whole.size(0), 12);
    for (const int latents : {1, 4, 5}) {
        const at::Tensor parts = vae.encode(frames, latents);
        ASSERT_EQ(parts.sizes(), whole.sizes()) << latents;
        EXPECT_LT((parts - whole).abs().max().item<double>(), 1e-12) << latents;
    }
}

TEST(Vae, DoublingAndConvolutionInOneEqualsOneAfterTheOther) {
    at::manual_seed(2);
    const at::Tensor x = at::randn({2, 5, 3, 4}, at::kDouble).contiguous(at::MemoryFormat::ChannelsLast);
    const at::Tensor weight = at::randn({6, 5, 3, 3}, at::kDouble);
    const at::Tensor bias = at::randn({6}, at::kDouble);
    const at::Tensor want = at::conv2d(at::upsample_nearest2d(x, {6, 8}), weight, bias, 1, 1);
    const at::Tensor got = up_conv(x, up_weight(weight), bias).summed();
    ASSERT_EQ(got.sizes(), want.sizes());
    EXPECT_LE((got - want).abs().max().item<double>(), 1e-12);
}

TEST(Vae, SaysWhichTensorsItNeeds) {
    VaeConfig wan;
    EXPECT_EQ(wan.tensor_shapes(true, true).size(), 194u);
    std::int64_t values = 0;
    for (const auto& [name, shape] : wan.tensor_shapes(true, true)) {
        std::int64_t n = 1;
        for (std::int64_t s : shape) n *= s;
        values += n;
    }
    EXPECT_EQ(values, 126892531);
    VaeConfig embedded = config_of(VaeConfig::Layout::embedded);
    embedded.encoder_channels = {48, 96, 128};
    embedded.decoder_channels = {48, 64, 96};
    EXPECT_EQ(embedded.tensor_shapes(true, true).size(), 92u);
}

} // namespace
} // namespace wander
