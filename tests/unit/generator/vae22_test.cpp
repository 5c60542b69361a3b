// The Wan 2.2 VAE without any checkpoint: names and counts, streaming, saved state, number formats.

#include "generator/wan/vae22.hpp"

#include "generator/rollout/noise.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <cmath>

namespace wander {
namespace {

Vae22Config small_config() {
    Vae22Config config;
    config.z = 6;
    config.dim = 8;
    config.decoder_dim = 12;
    config.latent_mean.assign(6, 0.1);
    config.latent_std.assign(6, 1.5);
    return config;
}

Result<Wan22Vae> random_vae(at::ScalarType compute, const std::string& without = {}) {
    return Wan22Vae::load(
        small_config(),
        [&without](const std::string& name, const std::vector<std::int64_t>& shape) -> Result<at::Tensor> {
            if (!without.empty() && name.starts_with(without)) return Error{ErrorCode::bad_input, "no tensor " + name};
            const at::Tensor r = gaussian_tensor(fnv1a64(name), shape).to(at::kDouble);
            if (name.ends_with("gamma")) return at::Tensor(r * 0.1 + 1);
            const double inputs = static_cast<double>(r.numel()) / static_cast<double>(shape[0]);
            return at::Tensor(r * (name.ends_with("bias") ? 0.1 : 1 / std::sqrt(inputs)));
        },
        at::kCPU, compute, true, true);
}

at::Tensor random_latents(std::int64_t count) {
    return gaussian_tensor(fnv1a64("latents"), {count, 6, 3, 2}).to(at::kDouble);
}

double relative(const at::Tensor& a, const at::Tensor& b) {
    return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>() / b.abs().max().item<double>();
}

TEST(Vae22, SaysWhichTensorsItNeeds) {
    const auto shapes = Vae22Config::published().tensor_shapes(true, true);
    EXPECT_EQ(shapes.size(), 196u);
    std::int64_t values = 0;
    for (const auto& [name, shape] : shapes) {
        std::int64_t n = 1;
        for (const std::int64_t s : shape) n *= s;
        values += n;
    }
    EXPECT_NEAR(static_cast<double>(values), 704.7e6, 0.05e6);
    EXPECT_EQ(shapes.at("decoder.upsamples.1.upsamples.3.time_conv.weight"),
              (std::vector<std::int64_t>{2048, 1024, 3, 1, 1}));
    EXPECT_EQ(shapes.at("encoder.downsamples.3.downsamples.1.residual.6.weight"),
              (std::vector<std::int64_t>{640, 640, 3, 3, 3}));
    EXPECT_EQ(Vae22Config::published().spatial_scale(), 16);
    EXPECT_EQ(Vae22Config::published().latent_mean.size(), 48u);
    EXPECT_EQ(Vae22Config::published().latent_std.size(), 48u);
}

TEST(Vae22, RefusesACheckpointWithHoles) {
    const auto vae = random_vae(at::kFloat, "decoder.middle.1");
    ASSERT_FALSE(vae);
    EXPECT_NE(vae.error().message.find("decoder.middle.1"), std::string::npos) << vae.error().message;
}

TEST(Vae22, OneLatentACallEqualsSeveralACall) {
    const c10::InferenceMode inference;
    const auto vae = random_vae(at::kDouble);
    ASSERT_TRUE(vae) << vae.error().message;
    const at::Tensor latents = random_latents(5);
    auto stream = vae->decode_stream();
    const at::Tensor together = stream.decode(latents);
    ASSERT_EQ(together.sizes(), (std::vector<std::int64_t>{17, 3, 48, 32}));
    stream.reset();
    std::vector<at::Tensor> parts;
    for (int i = 0; i < 5; ++i) parts.push_back(stream.decode(latents.narrow(0, i, 1)));
    EXPECT_LE(relative(at::cat(parts), together), 1e-12);
}

TEST(Vae22, ARestoredStateGivesTheSameBits) {
    const c10::InferenceMode inference;
    const auto vae = random_vae(at::kFloat);
    ASSERT_TRUE(vae);
    const at::Tensor latents = random_latents(4);
    auto stream = vae->decode_stream();
    EXPECT_TRUE(stream.save().empty());
    stream.decode(latents.narrow(0, 0, 2));
    const auto saved = stream.save();
    const at::Tensor went_on = stream.decode(latents.narrow(0, 2, 2));
    auto other = vae->decode_stream();
    EXPECT_TRUE(other.restore(saved));
    EXPECT_TRUE(at::equal(other.decode(latents.narrow(0, 2, 2)), went_on));
    EXPECT_TRUE(stream.restore(saved)); // back in time
    EXPECT_TRUE(at::equal(stream.decode(latents.narrow(0, 2, 2)), went_on));
    EXPECT_TRUE(stream.restore(saved));
    auto wrong = saved;
    wrong.begin()->second = at::zeros({2, 1, 1, 1});
    EXPECT_FALSE(stream.restore(wrong)) << "another decoder's";
    wrong = saved;
    wrong.erase(wrong.begin());
    EXPECT_FALSE(stream.restore(wrong)) << "a part is missing";
    EXPECT_TRUE(at::equal(stream.decode(latents.narrow(0, 2, 2)), went_on)) << "refused ones change nothing";
    other.reset();
    EXPECT_EQ(other.decode(latents.narrow(0, 2, 1)).size(0), 1) << "a new video's first latent is one frame";
}

TEST(Vae22, FloatAndBfloat16FollowDouble) {
    const c10::InferenceMode inference;
    const auto exact = random_vae(at::kDouble);
    ASSERT_TRUE(exact);
    const at::Tensor frames = gaussian_tensor(fnv1a64("frames"), {9, 3, 48, 32}).to(at::kDouble).tanh();
    const auto want = exact->encode_stream().encode(frames);
    ASSERT_EQ(want.mean.sizes(), (std::vector<std::int64_t>{3, 6, 3, 2}));
    const at::Tensor pictures = exact->decode_stream().decode(random_latents(3));
    const std::pair<at::ScalarType, double> types[] = {{at::kFloat, 2e-5}, {at::kBFloat16, 0.1}};
    for (const auto& [type, tolerance] : types) {
        const auto vae = random_vae(type);
        ASSERT_TRUE(vae);
        EXPECT_LE(relative(vae->encode_stream().encode(frames).mean, want.mean), tolerance) << type;
        EXPECT_LE(relative(vae->decode_stream().decode(random_latents(3)), pictures), tolerance) << type;
    }
}

TEST(Vae22, ASampleIsTheModePlusItsSpread) {
    const c10::InferenceMode inference;
    const auto vae = random_vae(at::kDouble);
    ASSERT_TRUE(vae);
    const at::Tensor mean = at::full({1, 6, 1, 1}, 0.4, at::kDouble);
    const VaeMoments moments{mean, at::full_like(mean, 2 * std::log(3.0))};
    EXPECT_NEAR(vae->normalised(moments.mean).max().item<double>(), (0.4 - 0.1) / 1.5, 1e-12);
    EXPECT_NEAR(vae->normalised(moments.sample(at::full_like(mean, -2))).max().item<double>(), (0.4 - 6 - 0.1) / 1.5,
                1e-12);
    const VaeMoments wild{mean, at::full_like(mean, 1e6)};
    EXPECT_TRUE(std::isfinite(vae->normalised(wild.sample(at::ones_like(mean))).max().item<double>()));
}

TEST(Vae22, AVideoHasOneAndFours) {
    const c10::InferenceMode inference;
    const auto vae = random_vae(at::kFloat);
    ASSERT_TRUE(vae);
    auto stream = vae->encode_stream();
    EXPECT_THROW(stream.encode(at::zeros({3, 3, 32, 32})), std::invalid_argument);
    stream.encode(at::zeros({1, 3, 32, 32}));
    EXPECT_THROW(stream.encode(at::zeros({5, 3, 32, 32})), std::invalid_argument);
    EXPECT_EQ(stream.encode(at::zeros({4, 3, 32, 32})).mean.size(0), 1);
}

} // namespace
} // namespace wander
