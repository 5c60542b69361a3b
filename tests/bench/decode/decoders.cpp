#include "tests/bench/decode/decoders.hpp"

#include "generator/hunyuan/hunyuan_vae.hpp"
#include "generator/wan/taehv.hpp"
#include "generator/wan/vae.hpp"
#include "generator/wan/vae22.hpp"

#include <ATen/ATen.h>

#include <cmath>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace wander::bench {
namespace {

constexpr double kTeraflops = 790;
constexpr double kFullPixels = 60 * 104; // of the latents that these are counted for
constexpr double kFullTeraflop = 13.55;  // per latent
constexpr double kTinyTeraflop = 0.54;
constexpr double kWan22Pixels = 44 * 80;
constexpr double kWan22Teraflop = 66.4;
constexpr double kHunyuanTeraflop = 39.8; // at 480x832

Result<at::Tensor> random_tensor(const std::string& name, const std::vector<std::int64_t>& shape) {
    const at::Tensor r = at::randn(shape, at::TensorOptions(at::kCUDA));
    if (name.ends_with("gamma")) return at::Tensor(r * 0.1 + 1);
    if (name.ends_with("bias")) return at::Tensor(r * 0.05);
    return at::Tensor(r / std::sqrt(static_cast<double>(r.numel()) / static_cast<double>(shape[0])));
}

VaeConfig vae_config() {
    VaeConfig config;
    config.latent_mean.assign(16, 0.0);
    config.latent_std.assign(16, 1.0);
    return config;
}

} // namespace

void bench_wan21(const Options& options) {
    const auto video = [&options](double teraflop_per_latent) {
        const double share = static_cast<double>(options.rows * options.cols) / kFullPixels;
        return Video{3, options.rows, options.cols, 3e3 * teraflop_per_latent * share / kTeraflops};
    };
    const Video full_video = video(kFullTeraflop);
    const Video tiny_video = video(kTinyTeraflop);
    const auto vae = [&](const DecodeTuning& tuning) {
        return *WanVae::load(vae_config(), random_tensor, at::kCUDA, at::kBFloat16, false, true, tuning);
    };
    DecodeTuning plain;
    plain.plain = true;
    if (wanted(options, "full plain")) bench_decoder(options, "full plain", vae(plain), full_video, 1);
    if (wanted(options, "full")) {
        const WanVae full = vae({});
        bench_decoder(options, "full", full, full_video, 3);
        bench_decoder(options, "full", full, full_video, 1);
    }
    if (wanted(options, "full, one frame a pass")) {
        DecodeTuning narrow;
        narrow.pixels_per_pass = 64 * options.rows * options.cols; // one frame of the finest level
        const WanVae full = vae(narrow);
        bench_decoder(options, "full, one frame a pass", full, full_video, 3);
        bench_decoder(options, "full, one frame a pass", full, full_video, 1);
    }
    const auto tiny = [&](bool plain_operations) {
        return *Taehv::load({}, random_tensor, at::kCUDA, at::kBFloat16, false, true, plain_operations);
    };
    if (wanted(options, "tiny plain")) bench_decoder(options, "tiny plain", tiny(true), tiny_video, 3);
    if (wanted(options, "tiny")) {
        const Taehv fused = tiny(false);
        bench_decoder(options, "tiny", fused, tiny_video, 3);
        bench_decoder(options, "tiny", fused, tiny_video, 1);
    }
}

void bench_wan22(const Options& options) {
    const auto load = [](const DecodeTuning& tuning, bool encoder) {
        return *Wan22Vae::load(Vae22Config::published(), random_tensor, at::kCUDA, at::kBFloat16, encoder, !encoder,
                               tuning);
    };
    const auto video = [](std::int64_t rows, std::int64_t cols) {
        const double share = static_cast<double>(rows * cols) / kWan22Pixels;
        return Video{4, rows, cols, 4e3 * kWan22Teraflop * share / kTeraflops};
    };
    const Video sizes[] = {video(44, 80), video(30, 52)};
    if (wanted(options, "wan22 plain")) {
        DecodeTuning plain;
        plain.plain = true;
        const Wan22Vae vae = load(plain, false);
        for (const Video& size : sizes) bench_decoder(options, "wan22 plain", vae, size, 1);
    }
    if (wanted(options, "wan22")) {
        const Wan22Vae vae = load({}, false);
        for (const Video& size : sizes) {
            for (const int latents : {1, 2, 4}) bench_decoder(options, "wan22", vae, size, latents);
        }
    }
    // In its wide level, at 704x1280.
    for (const auto& [name, frames] : {std::pair{"wan22, one frame a pass", 1}, {"wan22, four frames a pass", 4}}) {
        if (!wanted(options, name)) continue;
        DecodeTuning tuning;
        tuning.pixels_per_pass = std::int64_t{frames} * 2 * 352 * 640;
        const Wan22Vae vae = load(tuning, false);
        for (const Video& size : sizes) bench_decoder(options, name, vae, size, 1);
    }
    if (wanted(options, "wan22 encoder")) {
        const Wan22Vae vae = load({}, true);
        for (const Video& size : sizes) {
            const at::Tensor picture =
                at::rand({1, 3, 16 * size.rows, 16 * size.cols}, at::TensorOptions(at::kCUDA)) * 2 - 1;
            const double ms = event_ms([&] { vae.encode_stream().encode(picture); });
            std::printf("{\"encoder\": \"wan22\", \"rows\": %lld, \"picture_ms\": %.2f}\n",
                        static_cast<long long>(size.rows), ms);
        }
    }
}

void bench_hunyuan(const Options& options) {
    const auto load = [](const DecodeTuning& tuning) {
        return *HunyuanVae::load({}, random_tensor, at::kCUDA, at::kBFloat16, false, true, tuning);
    };
    const Video video{4, 30, 52, 4e3 * kHunyuanTeraflop / kTeraflops};
    const auto frames_a_pass = [](int frames) {
        DecodeTuning tuning;
        tuning.pixels_per_pass = std::int64_t{frames} * 400'000;
        return tuning;
    };
    DecodeTuning plain;
    plain.plain = true;
    if (wanted(options, "hunyuan plain")) bench_decoder(options, "hunyuan plain", load(plain), video, 1);
    if (wanted(options, "hunyuan")) {
        const HunyuanVae vae = load({});
        for (const int latents : {1, 2, 4}) bench_decoder(options, "hunyuan", vae, video, latents);
    }
    for (const auto& [name, frames] : {std::pair{"hunyuan, one frame a pass", 1}, {"hunyuan, two frames a pass", 2}}) {
        if (wanted(options, name)) bench_decoder(options, name, load(frames_a_pass(frames)), video, 1);
    }
}

// The tiny decoders of both HY-WorldPlay models at their sizes, as published and with LightX2V's conventions.
void bench_tiny_worldplay(const Options& options) {
    const auto config_of = [](int channels, double leak) {
        TaehvConfig config;
        config.z = channels;
        config.patch = 2;
        config.leak = leak;
        return config;
    };
    const auto video = [](std::int64_t rows, std::int64_t cols) {
        // Behind the first convolution as Wan 2.1's of as many latent pixels.
        const double share = static_cast<double>(rows * cols) / kFullPixels;
        return Video{4, rows, cols, 4e3 * kTinyTeraflop * share / kTeraflops};
    };
    const auto load = [](const TaehvConfig& config, bool plain) {
        return *Taehv::load(config, random_tensor, at::kCUDA, at::kBFloat16, false, true, plain);
    };
    const auto rows = [&](const std::string& name, const TaehvConfig& config, const std::vector<Video>& sizes) {
        if (wanted(options, name + " plain")) {
            const Taehv taehv = load(config, true);
            for (const Video& size : sizes) bench_decoder(options, name + " plain", taehv, size, 4);
        }
        if (!wanted(options, name)) return;
        const Taehv taehv = load(config, false);
        for (const Video& size : sizes) {
            for (const int latents : {1, 2, 4}) bench_decoder(options, name, taehv, size, latents);
        }
    };
    rows("tinywan22", config_of(48, 0), {video(44, 80), video(30, 52)});
    rows("tinyhunyuan", config_of(32, 0), {video(30, 52)});
    rows("tinyhunyuan leaky", config_of(32, 0.2), {video(30, 52)});
}

} // namespace wander::bench
