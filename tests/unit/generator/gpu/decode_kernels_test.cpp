// The decoders' kernels against torch's plain operations in float32, and whole decoders against their plain paths.

#include "generator/frame_pixels.hpp"
#include "generator/wan/decode_ops.hpp"
#include "generator/wan/taehv.hpp"
#include "generator/wan/vae.hpp"
#include "generator/wan/vae22.hpp"
#include "generator/wan/vae22_ops.hpp"
#include "generator/wan/vae_ops.hpp"
#include "tests/unit/generator/gpu/decode_case.hpp"

namespace wander {
namespace {

using DecodeKernels = DecoderOnGpu;

TEST_F(DecodeKernels, CausalInputEqualsItsTwinOverSeveralCalls) {
    for (const int channels : {8, 16, 48, 64, 96, 192, 384, 512, 1024}) {
        ASSERT_TRUE(causal_input_serves(channels));
        for (const bool residual : {false, true}) {
            for (const bool norm : {false, true}) {
                at::Tensor past;
                at::Tensor twin_past = at::zeros({2, channels, 5, 7}, at::TensorOptions(at::kCUDA));
                for (const std::int64_t frames : {1, 3, 2, 1}) {
                    Unsummed x{pictures({frames, channels, 5, 7}), floats(channels), {}};
                    if (residual) x.residual = pictures({frames, channels, 5, 7});
                    CausalInput how;
                    if (norm) how.gamma = floats(channels);
                    how.eps = 1e-6;
                    how.silu = norm;
                    how.past = &past;
                    how.keep_sum = true;
                    const CausalInputResult got = causal_input(x, how);

                    const at::Tensor sum = x.summed();
                    EXPECT_TRUE(at::equal(got.sum, sum)) << channels;
                    at::Tensor frame = sum.to(at::kFloat);
                    if (norm) frame = norm_silu(frame, how.gamma, VaeNorm::mean_square, how.eps, true);
                    const at::Tensor all = at::cat({twin_past, frame});
                    twin_past = all.narrow(0, frames, 2);
                    const at::Tensor side_by_side =
                        at::cat({all.narrow(0, 0, frames), all.narrow(0, 1, frames), all.narrow(0, 2, frames)}, 1);
                    expect_one_step(got.frames, side_by_side, std::to_string(channels) + " channels");
                    expect_one_step(past, twin_past, "past");
                }
            }
        }
    }
    EXPECT_FALSE(causal_input_serves(12));
    EXPECT_FALSE(causal_input_serves(40));
}

TEST_F(DecodeKernels, EnlargeEqualsItsTwin) {
    for (const int times : {1, 2}) {
        for (const std::int64_t drop : {0, 1}) {
            Unsummed x{pictures({3, 32, 5, 6}), {}, {}};
            EXPECT_TRUE(at::equal(enlarge(x, times, drop, true), enlarge(x, times, drop, false)));
            x.bias = floats(32);
            x.residual = pictures({3, 32, 5, 6});
            EXPECT_TRUE(at::equal(enlarge(x, times, drop, true), enlarge(x, times, drop, false)));
        }
    }
}

TEST_F(DecodeKernels, CausalInputReadsTheQuartersThatUpConvLeaves) {
    const at::Tensor small = pictures({3, 24, 5, 6});
    const at::Tensor weight = (at::randn({16, 24, 3, 3}) * 0.1).to(at::kCUDA, at::kBFloat16);
    const Unsummed quarters = up_conv(small, up_weight(weight), floats(16));
    EXPECT_EQ(quarters.rows(), 10);
    EXPECT_EQ(quarters.columns(), 12);
    const Unsummed whole{quarters.summed(), {}, {}};
    at::Tensor past, twin_past;
    CausalInput how;
    how.gamma = floats(16);
    how.eps = 1e-6;
    how.silu = true;
    how.keep_sum = true;
    how.past = &past;
    const CausalInputResult got = causal_input(quarters, how);
    how.past = &twin_past;
    const CausalInputResult want = causal_input(whole, how);
    EXPECT_TRUE(at::equal(got.sum, whole.x));
    EXPECT_TRUE(at::equal(got.frames, want.frames));
    EXPECT_TRUE(at::equal(past, twin_past));
    // Folded weights are rounded once more: 2 % of the largest value.
    const at::Tensor exact =
        at::conv2d(at::upsample_nearest2d(small.to(at::kFloat), {10, 12}), weight.to(at::kFloat), quarters.bias, 1, 1);
    EXPECT_LE(difference(whole.x, exact), 0.02 * largest(exact));
    const Unsummed doubled{pictures({3, 32, 5, 6}), floats(32), pictures({3, 32, 5, 6})};
    const at::Tensor sum = doubled.summed();
    const at::Tensor frames = at::stack({sum.narrow(1, 0, 16), sum.narrow(1, 16, 16)}, 1).flatten(0, 1);
    EXPECT_TRUE(at::equal(doubled_frames(doubled), frames));
}

// What goes around a level is read where it is small: every frame once or twice, every channel or two for each.
TEST_F(DecodeKernels, CausalInputAddsWhatGoesAroundALevel) {
    for (const int channels : {16, 256, 1024}) {
        for (const int step : {1, 2}) {
            for (const int time : {1, 2}) {
                if (step * time == 4) continue; // not in a Wan 2.2 VAE
                Unsummed x{pictures({6, 4 * channels, 5, 4}), floats(channels), {}, Unsummed::Layout::quarters};
                x.around = pictures({6 / time, step * channels, 4, 3});
                x.times = time;
                for (const auto& part : {x, x.slice(1, 3), x.slice(1, 3).slice(1, 2)}) {
                    at::Tensor past, twin_past;
                    CausalInput how;
                    how.gamma = floats(channels);
                    how.silu = true;
                    how.keep_sum = true;
                    how.past = &past;
                    const CausalInputResult got = causal_input(part, how);
                    how.past = &twin_past;
                    const CausalInputResult want = causal_input({part.summed(), {}, {}}, how);
                    EXPECT_TRUE(at::equal(got.sum, want.sum)) << channels << " channels, step " << step;
                    EXPECT_TRUE(at::equal(got.frames, want.frames)) << channels << " channels, step " << step;
                }
                EXPECT_TRUE(at::equal(x.slice(1, 3).summed(), x.summed().narrow(0, 1, 3)));
            }
        }
    }
}

// Every product is rounded to bf16 before the sum: 2 % of the largest value.
TEST_F(DecodeKernels, ConvolutionByProductsEqualsTheConvolution) {
    for (const int patch : {1, 2}) {
        const std::int64_t outputs = 3 * patch * patch;
        const at::Tensor weight = (at::randn({outputs, 3 * 16, 3, 3}) * 0.1).to(at::kCUDA, at::kBFloat16);
        const at::Tensor bias = floats(outputs);
        at::Tensor past;
        at::Tensor twin_past = at::zeros({2, 16, 7, 9}, at::TensorOptions(at::kCUDA));
        for (const std::int64_t frames : {1, 1, 4, 2, 1}) {
            const at::Tensor x = pictures({frames, 16, 7, 9});
            const at::Tensor out = at::empty({frames, 3, patch * 7, patch * 9}, x.options(), kLast);
            conv_by_products(x, tap_weight(weight), bias, past, out);
            const at::Tensor all = at::cat({twin_past, x.to(at::kFloat)});
            twin_past = all.narrow(0, frames, 2);
            const at::Tensor want =
                at::conv2d(at::cat({all.narrow(0, 0, frames), all.narrow(0, 1, frames), all.narrow(0, 2, frames)}, 1),
                           weight.to(at::kFloat), bias, 1, 1);
            EXPECT_LE(difference(out, from_column_patches(want, patch)), 0.02 * largest(want)) << frames << " frames";
            EXPECT_TRUE(at::equal(past, twin_past.to(at::kBFloat16))) << frames << " frames";
        }
    }
}

TEST_F(DecodeKernels, AttentionByProductsFollowsFloat32) {
    const at::Tensor qkv = pictures({2, 3 * 32, 9, 11});
    const at::Tensor want = attend_in_frames(qkv.to(at::kFloat));
    EXPECT_LE(difference(attend_by_products(qkv), want), 0.01 * largest(want));
}

TEST_F(DecodeKernels, PixelsAreTheSameBytesOnEveryPath) {
    for (const PixelRange range : {PixelRange{-1, 1}, PixelRange{0, 1}}) {
        for (const auto type : {at::kBFloat16, at::kFloat}) {
            const at::Tensor frames = (at::randn({2, 3, 9, 11}) * 0.7).to(at::kCUDA, type).contiguous(kLast);
            const at::Tensor want = rgba_of(frames[1], range).cpu();
            const at::Tensor device = at::empty({9, 11, 4}, at::TensorOptions(at::kCUDA).dtype(at::kByte));
            frame_to_device(frames[1], range, device.mutable_data_ptr());
            EXPECT_TRUE(at::equal(device.cpu(), want));
            at::Tensor host = at::zeros({9, 11, 4}, at::kByte);
            frame_to_host(frames[1], range, host.mutable_data_ptr<std::uint8_t>());
            EXPECT_TRUE(at::equal(host, want));
            frame_to_host(frames[1].cpu(), range, host.mutable_data_ptr<std::uint8_t>());
            EXPECT_TRUE(at::equal(host, want));
        }
    }
}

VaeConfig vae_config(VaeConfig::Layout layout) {
    VaeConfig config;
    config.layout = layout;
    config.dim = 32;
    config.patch = layout == VaeConfig::Layout::embedded ? 2 : 1;
    config.encoder_channels = {48, 96, 128};
    config.decoder_channels = {48, 64, 96};
    config.latent_mean.assign(16, 0.1);
    config.latent_std.assign(16, 1.5);
    return config;
}

WanVae random_vae(const VaeConfig& config, at::ScalarType compute, const DecodeTuning& tuning) {
    at::manual_seed(7);
    auto vae = WanVae::load(config, random_tensor, at::kCUDA, compute, false, true, tuning);
    EXPECT_TRUE(vae);
    return *vae;
}

// bf16 activations through some forty layers: 3 % of the norm against float32; the plain bf16 path is no nearer.
TEST_F(DecodeKernels, FusedVaeFollowsFloat32AsThePlainOneDoes) {
    for (const auto layout : {VaeConfig::Layout::wan21, VaeConfig::Layout::embedded}) {
        const VaeConfig config = vae_config(layout);
        at::manual_seed(9);
        const at::Tensor latents = at::randn({7, 16, 6, 8}).to(at::kCUDA);
        DecodeTuning plain;
        plain.plain = true;
        const auto exact = random_vae(config, at::kFloat, plain).open_stream();
        const auto twin = random_vae(config, at::kBFloat16, plain).open_stream();
        const auto fused = random_vae(config, at::kBFloat16, {}).open_stream();
        const at::Tensor want = in_calls(*exact, latents, {7});
        const at::Tensor got = in_calls(*fused, latents, {1, 3, 3});
        ASSERT_EQ(got.sizes(), want.sizes());
        const double error = relative_norm(got, want);
        const double twin_error = relative_norm(in_calls(*twin, latents, {7}), want);
        EXPECT_LE(error, 0.03);
        EXPECT_LE(error, 1.2 * twin_error);
        EXPECT_GT(fused->state_bytes(), 0);
        // Frame by frame where it can, and other calls: the same sums, so nearly the same bits.
        DecodeTuning narrow;
        narrow.pixels_per_pass = 1;
        const auto sliced = random_vae(config, at::kBFloat16, narrow).open_stream();
        EXPECT_LE(relative_norm(in_calls(*sliced, latents, {1, 1, 2, 3}), got), 0.01);
        EXPECT_TRUE(at::equal(in_calls(*fused, latents, {1, 3, 3}), got)) << "something is left of the first video";
    }
}

Wan22Vae random_vae22(at::ScalarType compute, const DecodeTuning& tuning) {
    Vae22Config config;
    config.z = 16;
    config.decoder_dim = 32;
    config.latent_mean.assign(16, 0.1);
    config.latent_std.assign(16, 1.5);
    at::manual_seed(7);
    auto vae = Wan22Vae::load(config, random_tensor, at::kCUDA, compute, false, true, tuning);
    EXPECT_TRUE(vae);
    return *vae;
}

TEST_F(DecodeKernels, FusedWan22FollowsFloat32AsThePlainOneDoes) {
    at::manual_seed(9);
    expect_fused_follows(random_vae22, at::randn({7, 16, 6, 8}).to(at::kCUDA));
}

TEST_F(DecodeKernels, ARestoredWan22StreamGivesTheSameBits) {
    at::manual_seed(9);
    expect_restored_goes_on(random_vae22, at::randn({5, 16, 6, 8}).to(at::kCUDA));
}

// Sums that are finished in a pass of ours are rounded once more than the twin's: two steps of bf16 at the largest.
TEST_F(DecodeKernels, ALeakyConvolutionEqualsItsTwin) {
    const PlainConv conv = make_plain_conv(at::randn({24, 16, 3, 3}) * 0.1, at::randn({24}), at::kCUDA, at::kBFloat16);
    const at::Tensor x = pictures({3, 16, 5, 7}), added = pictures({3, 24, 5, 7});
    const auto exact = [&](const at::Tensor& residual) {
        const at::Tensor sum = at::conv2d(x.to(at::kFloat), conv.weight.to(at::kFloat), conv.wide_bias, 1, 1);
        return at::leaky_relu(residual.defined() ? sum + residual.to(at::kFloat) : sum, 0.2);
    };
    for (const bool fused : {false, true}) {
        const at::Tensor alone = conv_relu(conv, x, fused, 0.2);
        EXPECT_LE(difference(alone, exact({})), largest(exact({})) / 64);
        EXPECT_LT(alone.min().item<float>(), 0);
        const at::Tensor summed = conv_add_relu(conv, x, added, fused, 0.2);
        EXPECT_LE(difference(summed, exact(added)), largest(exact(added)) / 64);
        EXPECT_GE(conv_relu(conv, x, fused).min().item<float>(), 0);
    }
}

// As published for Wan 2.1 and Wan 2.2, and as LightX2V does it for HunyuanVideo 1.5.
std::vector<TaehvConfig> tiny_configs() {
    TaehvConfig wan22;
    wan22.z = 48;
    wan22.patch = 2;
    TaehvConfig hunyuan;
    hunyuan.z = 32;
    hunyuan.patch = 2;
    hunyuan.leak = 0.2;
    hunyuan.latent_mean.assign(32, 0);
    hunyuan.latent_std.assign(32, 0.96);
    hunyuan.range = {-1, 1};
    return {{}, wan22, hunyuan};
}

TEST_F(DecodeKernels, FusedTinyDecodersFollowFloat32AsThePlainOnesDo) {
    for (const TaehvConfig& config : tiny_configs()) {
        const auto load = [&config](at::Device device, at::ScalarType compute, bool plain) {
            at::manual_seed(7);
            auto taehv = Taehv::load(config, random_tensor, device, compute, true, true, plain);
            EXPECT_TRUE(taehv);
            return *taehv;
        };
        at::manual_seed(9);
        const at::Tensor latents = at::randn({7, config.z, 6, 8}).to(at::kCUDA);
        const auto exact = load(at::kCPU, at::kFloat, true).open_stream();
        const auto twin = load(at::kCUDA, at::kBFloat16, true).open_stream();
        const auto fused = load(at::kCUDA, at::kBFloat16, false).open_stream();
        const at::Tensor want = in_calls(*exact, latents, {7});
        const at::Tensor got = in_calls(*fused, latents, {1, 3, 3});
        ASSERT_EQ(got.sizes(), want.sizes());
        const double error = relative_norm(got, want);
        EXPECT_LE(error, 0.03) << config.z << " channels";
        EXPECT_LE(error, 1.2 * relative_norm(in_calls(*twin, latents, {7}), want)) << config.z << " channels";
        // Restored behind the third latent, the same bits come.
        const at::Tensor rest = latents.narrow(0, 3, 4);
        in_calls(*fused, latents, {1, 2});
        const auto saved = fused->save();
        const at::Tensor went_on = fused->decode(rest);
        ASSERT_TRUE(fused->restore(saved));
        EXPECT_TRUE(at::equal(fused->decode(rest), went_on)) << config.z << " channels";

        auto exact_encoder = load(at::kCUDA, at::kFloat, true).encode_stream();
        auto fused_encoder = load(at::kCUDA, at::kBFloat16, false).encode_stream();
        const at::Tensor frames = at::rand({8, 3, 32, 64}).to(at::kCUDA);
        EXPECT_LE(relative_norm(fused_encoder.encode(frames), exact_encoder.encode(frames)), 0.03);
    }
}

} // namespace
} // namespace wander
