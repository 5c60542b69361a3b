// The decoders' path on a GPU without one: the same steps with torch's operations in the kernels' place, in float32,
// against the plain decoders. What the kernels themselves do is compared in gpu/.

#include "generator/hunyuan/hunyuan_vae.hpp"
#include "generator/hunyuan/hunyuan_vae_ops.hpp"
#include "generator/rollout/noise.hpp"
#include "generator/wan/decode_ops.hpp"
#include "generator/wan/vae.hpp"
#include "generator/wan/vae22.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <utility>
#include <vector>

namespace wander {
namespace {

at::Tensor values(const std::string& name, const std::vector<std::int64_t>& shape) {
    return gaussian_tensor(fnv1a64(name), shape).to(at::kFloat);
}

TEST(FusedDecoders, BoxesAreWhatThePlainWayUpMakes) {
    const c10::InferenceMode inference;
    for (const int time : {1, 2}) {
        for (const std::int64_t in : {16, 32}) {
            const std::int64_t cells = std::int64_t{4} * time, out = 16;
            Unsummed x{values("made", {3, cells * out, 4, 5}), values("bias", {cells * out}), {}};
            x.layout = Unsummed::Layout::boxes;
            x.times = time;
            x.shown = std::int64_t{3} * time;
            x.around = values("input", {3, in, 4, 5});
            EXPECT_EQ(x.frames(), 3 * time);
            EXPECT_EQ(x.channels(), out);
            EXPECT_EQ(x.rows(), 8);
            EXPECT_EQ(x.columns(), 10);
            const at::Tensor want =
                enlarged(x.x + x.bias.view({1, -1, 1, 1}), time, false) + enlarged_shortcut(x.around, out, time, false);
            EXPECT_TRUE(at::equal(x.summed(), want)) << time << " frames of each, from " << in << " channels";
            for (std::int64_t begin = 0; begin + 2 <= x.frames(); ++begin) {
                EXPECT_TRUE(at::equal(x.slice(begin, 2).summed(), want.narrow(0, begin, 2))) << begin;
                EXPECT_TRUE(at::equal(x.slice(begin, 2).slice(1, 1).summed(), want.narrow(0, begin + 1, 1))) << begin;
            }
        }
    }
}

Result<at::Tensor> small_weight(const std::string& name, const std::vector<std::int64_t>& shape) {
    const at::Tensor r = values(name, shape);
    if (name.ends_with("gamma")) return at::Tensor(r * 0.1 + 1);
    const double inputs = static_cast<double>(r.numel()) / static_cast<double>(shape[0]);
    return at::Tensor(r * (name.ends_with("bias") ? 0.1 : 1 / std::sqrt(inputs)));
}

double relative(const at::Tensor& got, const at::Tensor& want) {
    return ((got - want).abs().max() / want.abs().max()).item<double>();
}

// load(tuning): the VAE. Tolerance: another order of summation in some forty layers.
template <class Load>
void expect_the_same_pictures(const Load& load, std::int64_t channels) {
    const c10::InferenceMode inference;
    constexpr double kTolerance = 2e-5;
    const at::Tensor latents = values("latents", {5, channels, 2, 1});
    DecodeTuning tuning;
    tuning.plain = true;
    auto plain = load(tuning).open_stream();
    const at::Tensor want = plain->decode(latents);
    tuning = {};
    tuning.twin = true;
    const std::pair<std::int64_t, std::vector<std::int64_t>> ways[] = {{1, {5}}, {1500, {1, 1, 3}}, {1 << 30, {1, 4}}};
    for (const auto& [pixels, calls] : ways) { // a frame, some frames, everything at once
        tuning.pixels_per_pass = pixels;
        auto fused = load(tuning).open_stream();
        std::vector<at::Tensor> parts;
        std::int64_t done = 0;
        for (const std::int64_t count : calls) {
            parts.push_back(fused->decode(latents.narrow(0, done, count)));
            done += count;
        }
        const at::Tensor got = at::cat(parts);
        ASSERT_EQ(got.sizes(), want.sizes());
        EXPECT_LE(relative(got, want), kTolerance) << pixels << " pixels a pass";
        // The state is the same, so either goes on from the other's.
        const auto state = plain->save();
        const auto other = fused->save();
        ASSERT_EQ(state.size(), other.size());
        for (const auto& [name, frames] : state) {
            ASSERT_TRUE(other.contains(name)) << name;
            ASSERT_EQ(other.at(name).sizes(), frames.sizes()) << name;
            EXPECT_LE(relative(other.at(name), frames), kTolerance) << name;
        }
    }
}

TEST(FusedDecoders, Wan21) {
    VaeConfig config;
    config.dim = 8;
    config.z = 8;
    config.latent_mean.assign(8, 0.1);
    config.latent_std.assign(8, 1.5);
    const auto load = [&](const DecodeTuning& tuning) {
        return *WanVae::load(config, small_weight, at::kCPU, at::kFloat, false, true, tuning);
    };
    expect_the_same_pictures(load, config.z);
}

TEST(FusedDecoders, Wan22) {
    Vae22Config config;
    config.z = 6;
    config.decoder_dim = 8;
    config.latent_mean.assign(6, 0.1);
    config.latent_std.assign(6, 1.5);
    const auto load = [&](const DecodeTuning& tuning) {
        return *Wan22Vae::load(config, small_weight, at::kCPU, at::kFloat, false, true, tuning);
    };
    expect_the_same_pictures(load, config.z);
}

TEST(FusedDecoders, HunyuanVideo) {
    HunyuanVaeConfig config;
    config.z = 4;
    config.widths = {8, 16, 16, 32, 32};
    const auto load = [&](const DecodeTuning& tuning) {
        return *HunyuanVae::load(config, small_weight, at::kCPU, at::kFloat, false, true, tuning);
    };
    expect_the_same_pictures(load, config.z);
}

} // namespace
} // namespace wander
