// Decoding on an NVIDIA GPU: milliseconds for a chunk (3 latents; 4 of the Wan 2.2 and HunyuanVideo 1.5 VAEs), for the
// first picture of a video, and memory, of the full VAEs and the tiny decoder, against the same in torch's plain
// operations (norms and sums one by one), in one run. Random weights at the published sizes. One JSON object a line;
// floors beside (arithmetic at 790 TFLOP/s). The Wan 2.2 VAE at 704x1280 and 480x832, and its encoder on one picture.
//
//     decode_bench [--rows 60] [--cols 104] [--chunks 12] [--parts] [--only WORD]
//
// --rows and --cols: latents of the Wan 2.1 decoders. --parts: the pieces of a chunk one by one as well.
#include "generator/device.hpp"
#include "generator/hunyuan/hunyuan_vae.hpp"
#include "generator/wan/decode_ops.hpp"
#include "generator/wan/taehv.hpp"
#include "generator/wan/vae.hpp"
#include "generator/wan/vae22.hpp"
#include "generator/wan/vae_ops.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <cstdio>

#if WANDER_CUDA
#include "tests/bench/figures.hpp"
#include "tests/bench/gpu_event.hpp"

#include <c10/cuda/CUDACachingAllocator.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace wander;
using bench::Event;
using bench::median;
using bench::ms_of;
using bench::now_ms;

constexpr double kTeraflops = 790;
constexpr double kFullPixels = 60 * 104; // of the latents that these are counted for
constexpr double kFullTeraflop = 13.55;  // per latent
constexpr double kTinyTeraflop = 0.54;
constexpr double kWan22Pixels = 44 * 80;
constexpr double kWan22Teraflop = 66.4;
constexpr double kHunyuanTeraflop = 39.8; // at 480x832

struct Options {
    std::int64_t rows = 60;
    std::int64_t cols = 104;
    int chunks = 12;
    bool parts = false;
    std::string only;
};

c10::CachingDeviceAllocator::Stat allocated() {
    return c10::cuda::CUDACachingAllocator::getDeviceStats(0)
        .allocated_bytes[static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE)];
}

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

struct Video {
    int latents = 3; // of a chunk
    std::int64_t rows = 0;
    std::int64_t cols = 0;
    double floor_ms = 0; // of a chunk
};

bool wanted(const Options& options, const std::string& name) {
    return options.only.empty() || name.find(options.only) != std::string::npos;
}

void bench(const Options& options, const std::string& name, const VideoDecoder& decoder, const Video& video,
           int latents_per_call) {
    if (!wanted(options, name)) return;
    const at::Tensor latents = at::randn({video.latents, decoder.latent_channels(), video.rows, video.cols},
                                         at::TensorOptions(at::kCUDA).dtype(at::kBFloat16));
    const auto stream = decoder.open_stream();
    const auto chunk = [&] {
        for (int begin = 0; begin < video.latents; begin += latents_per_call)
            stream->decode(latents.narrow(0, begin, latents_per_call));
    };
    const auto first = [&] {
        stream->reset();
        stream->decode(latents.narrow(0, 0, 1));
    };
    const double begin = now_ms();
    first();
    chunk();
    cudaDeviceSynchronize();
    const double warm_up_ms = now_ms() - begin;
    stream->reset();
    cudaDeviceSynchronize();
    const auto before = allocated().current;
    c10::cuda::CUDACachingAllocator::resetPeakStats(0);
    std::vector<double> first_ms, chunk_ms, host_ms;
    for (int i = 0; i < 3; ++i) {
        const double from = now_ms();
        first();
        cudaDeviceSynchronize();
        first_ms.push_back(now_ms() - from);
    }
    const int warm = 2;
    for (int i = 0; i < options.chunks + warm; ++i) {
        const double from = now_ms();
        chunk();
        const double handed_over = now_ms() - from;
        cudaDeviceSynchronize();
        if (i >= warm) {
            chunk_ms.push_back(now_ms() - from);
            host_ms.push_back(handed_over);
        }
    }
    const auto peak = allocated().peak - before;
    std::printf(
        "{\"decoder\": \"%s\", \"rows\": %lld, \"latents_per_call\": %d, \"chunk_ms\": %.2f, \"floor_ms\": %.1f, "
        "\"first_ms\": %.2f, \"host_ms\": %.2f, \"warm_up_ms\": %.0f, \"state_mib\": %.1f, \"peak_mib\": %.1f}\n",
        name.c_str(), static_cast<long long>(video.rows), latents_per_call, median(chunk_ms), video.floor_ms,
        median(first_ms), median(host_ms), warm_up_ms, static_cast<double>(stream->state_bytes()) / (1 << 20),
        static_cast<double>(peak) / (1 << 20));
    std::fflush(stdout);
}

double event_ms(const std::function<void()>& call) {
    call();
    Event begin, end;
    std::vector<double> all;
    for (int i = 0; i < 9; ++i) all.push_back(ms_of(begin, end, call));
    return median(all);
}

void print_part(const std::string& name, std::int64_t frames, double ms, double gigabytes, double teraflop) {
    std::printf("{\"part\": \"%s\", \"frames\": %lld, \"ms\": %.4f, \"gb_s\": %.0f, \"tflop_s\": %.0f}\n", name.c_str(),
                static_cast<long long>(frames), ms, gigabytes / ms * 1e3, teraflop / ms * 1e3);
    std::fflush(stdout);
}

// One level: the pass between convolutions with a residual and without, its convolution, the way up from it.
void bench_level(std::int64_t channels, std::int64_t out, std::int64_t rows, std::int64_t cols, std::int64_t frames) {
    const auto options = at::TensorOptions(at::kCUDA).dtype(at::kBFloat16);
    const auto make = [&](std::int64_t n, std::int64_t c) {
        return at::randn({n, c, rows, cols}, options).contiguous(at::MemoryFormat::ChannelsLast);
    };
    const at::Tensor bias = at::randn({channels}, at::TensorOptions(at::kCUDA));
    Unsummed x{make(frames, channels), bias, {}};
    at::Tensor past;
    CausalInput how;
    how.gamma = at::ones({channels}, at::TensorOptions(at::kCUDA));
    how.eps = 1e-12;
    how.silu = true;
    how.past = &past;
    const std::string at = std::to_string(channels) + " channels " + std::to_string(rows) + "x" + std::to_string(cols);
    const double plane = static_cast<double>(frames * channels * rows * cols) * 2e-9; // GB
    const double ends = 4 * plane / static_cast<double>(frames);                      // past, read and written
    print_part("input, " + at, frames, event_ms([&] { causal_input(x, how); }), 4 * plane + ends, 0);
    x.residual = make(frames, channels);
    how.keep_sum = true;
    print_part("input + residual, " + at, frames, event_ms([&] { causal_input(x, how); }), 6 * plane + ends, 0);
    const at::Tensor side = make(frames, 3 * channels);
    const at::Tensor weight = at::randn({out, 3 * channels, 3, 3}, options).contiguous(at::MemoryFormat::ChannelsLast);
    print_part("convolution to " + std::to_string(out) + ", " + at, frames,
               event_ms([&] { at::conv2d(side, weight, {}, 1, 1); }), 3 * plane,
               54e-12 * static_cast<double>(channels * out * rows * cols * frames));
    x.residual = at::Tensor();
    print_part("enlarge, " + at, frames, event_ms([&] { enlarge(x, 1, 0, true); }), 5 * plane, 0);
}

void bench_parts(const Options& options) {
    const std::int64_t r = options.rows, c = options.cols;
    bench_level(384, 384, r, c, 3);
    bench_level(384, 384, 2 * r, 2 * c, 6);
    bench_level(192, 192, 4 * r, 4 * c, 4);
    bench_level(96, 96, 8 * r, 8 * c, 1);
    bench_level(96, 3, 8 * r, 8 * c, 1);
    const auto bf16 = at::TensorOptions(at::kCUDA).dtype(at::kBFloat16);
    const at::Tensor qkv = at::randn({3, 3 * 384, r, c}, bf16).contiguous(at::MemoryFormat::ChannelsLast);
    const double pixels = static_cast<double>(r * c);
    print_part("attention", 3, event_ms([&] { attend_in_frames(qkv); }), 0, 12e-12 * 384 * pixels * pixels);
}

// The same convolution in its 3-D form, and pointwise ones as convolution and as matrix product.
void bench_forms(std::int64_t in, std::int64_t out, std::int64_t rows, std::int64_t cols, std::int64_t frames) {
    const auto bf16 = at::TensorOptions(at::kCUDA).dtype(at::kBFloat16);
    const double values = static_cast<double>(rows * cols * frames);
    const std::string where = std::to_string(in) + " to " + std::to_string(out) + " channels " + std::to_string(rows) +
                              "x" + std::to_string(cols);
    const at::Tensor clip =
        at::randn({1, in, frames + 2, rows, cols}, bf16).contiguous(at::MemoryFormat::ChannelsLast3d);
    const at::Tensor cube = at::randn({out, in, 3, 3, 3}, bf16).contiguous(at::MemoryFormat::ChannelsLast3d);
    print_part("3-D convolution, " + where, frames, event_ms([&] { at::conv3d(clip, cube, {}, 1, {0, 1, 1}); }), 0,
               54e-12 * values * static_cast<double>(in * out));
    const at::Tensor x = at::randn({frames, in, rows, cols}, bf16).contiguous(at::MemoryFormat::ChannelsLast);
    const at::Tensor point = at::randn({out, in, 1, 1}, bf16).contiguous(at::MemoryFormat::ChannelsLast);
    const double teraflop = 2e-12 * values * static_cast<double>(in * out);
    print_part("1x1 convolution, " + where, frames, event_ms([&] { at::conv2d(x, point); }),
               2e-9 * values * static_cast<double>(in + out), teraflop);
    const at::Tensor matrix = point.view({out, in}).t();
    print_part("1x1 as product, " + where, frames,
               event_ms([&] { at::matmul(x.permute({0, 2, 3, 1}).reshape({-1, in}), matrix); }),
               2e-9 * values * static_cast<double>(in + out), teraflop);
}

// Of the Wan 2.2 VAE: `rows` x `cols` latents, a latent at once.
void bench_wan22_parts(std::int64_t rows, std::int64_t cols) {
    bench_level(1024, 1024, rows, cols, 1);
    bench_level(1024, 1024, 2 * rows, 2 * cols, 2);
    bench_level(1024, 512, 4 * rows, 4 * cols, 4);
    bench_level(512, 512, 4 * rows, 4 * cols, 4);
    bench_level(512, 256, 8 * rows, 8 * cols, 4);
    bench_level(256, 256, 8 * rows, 8 * cols, 4);
    bench_forms(1024, 1024, 2 * rows, 2 * cols, 2);
    bench_forms(512, 512, 4 * rows, 4 * cols, 4);
    bench_forms(512, 256, 8 * rows, 8 * cols, 4);
    bench_forms(256, 256, 8 * rows, 8 * cols, 4);
    const auto bf16 = at::TensorOptions(at::kCUDA).dtype(at::kBFloat16);
    const auto picture = [&](std::int64_t n, std::int64_t channels, std::int64_t height, std::int64_t width) {
        return at::randn({n, channels, height, width}, bf16).contiguous(at::MemoryFormat::ChannelsLast);
    };
    for (const std::int64_t channels : {1024, 512}) {
        const std::int64_t r = rows * 2048 / channels, c = cols * 2048 / channels, n = 4;
        const at::Tensor small = picture(n, channels, r, c);
        const at::Tensor weight = picture(4 * channels, channels, 2, 2);
        print_part("up, " + std::to_string(channels) + " channels", n, event_ms([&] { up_conv(small, weight, {}); }), 0,
                   32e-12 * static_cast<double>(channels * channels * n * (r + 1) * (c + 1)));
        const at::Tensor large = picture(n, channels, 2 * r, 2 * c);
        const at::Tensor square = picture(channels, channels, 3, 3);
        print_part("3x3 on the doubled picture, " + std::to_string(channels) + " channels", n,
                   event_ms([&] { at::conv2d(large, square, {}, 1, 1); }), 0,
                   72e-12 * static_cast<double>(channels * channels * n * r * c));
    }
    const at::Tensor last = picture(4, 256, 8 * rows, 8 * cols);
    const at::Tensor taps = tap_weight(picture(12, 768, 3, 3));
    const at::Tensor bias = at::zeros({12}, at::TensorOptions(at::kCUDA));
    const at::Tensor out = picture(4, 3, 16 * rows, 16 * cols);
    at::Tensor past;
    print_part("head", 4, event_ms([&] { conv_by_products(last, taps, bias, past, out); }), 0,
               54e-12 * 256 * 12 * 4 * static_cast<double>(64 * rows * cols));
    const at::Tensor qkv = picture(1, 3 * 1024, rows, cols);
    const double pixels = static_cast<double>(rows * cols);
    print_part("attention, 1024 channels", 1, event_ms([&] { attend_by_products(qkv); }), 0,
               4e-12 * 1024 * pixels * pixels);
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
        for (const Video& size : sizes) bench(options, "wan22 plain", vae, size, 1);
    }
    if (wanted(options, "wan22")) {
        const Wan22Vae vae = load({}, false);
        for (const Video& size : sizes) {
            for (const int latents : {1, 2, 4}) bench(options, "wan22", vae, size, latents);
        }
    }
    // In its wide level, at 704x1280.
    for (const auto& [name, frames] : {std::pair{"wan22, one frame a pass", 1}, {"wan22, four frames a pass", 4}}) {
        if (!wanted(options, name)) continue;
        DecodeTuning tuning;
        tuning.pixels_per_pass = std::int64_t{frames} * 2 * 352 * 640;
        const Wan22Vae vae = load(tuning, false);
        for (const Video& size : sizes) bench(options, name, vae, size, 1);
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

void bench_hunyuan_parts(std::int64_t rows, std::int64_t cols) {
    bench_level(1024, 8192, rows, cols, 1);
    bench_level(1024, 4096, 2 * rows, 2 * cols, 2);
    const std::pair<std::int64_t, std::int64_t> levels[] = {{1024, 1}, {1024, 2}, {512, 4}, {256, 8}, {128, 16}};
    for (const auto& [channels, larger] : levels) {
        const std::int64_t frames = std::min<std::int64_t>(larger, 4);
        bench_level(channels, channels, larger * rows, larger * cols, frames);
        bench_forms(channels, channels, larger * rows, larger * cols, frames);
    }
    const auto bf16 = at::TensorOptions(at::kCUDA).dtype(at::kBFloat16);
    const auto picture = [&](std::int64_t n, std::int64_t channels, std::int64_t height, std::int64_t width) {
        return at::randn({n, channels, height, width}, bf16).contiguous(at::MemoryFormat::ChannelsLast);
    };
    const at::Tensor last = picture(4, 128, 16 * rows + 2, 16 * cols + 2);
    const at::Tensor taps = tap_weight(picture(3, 384, 3, 3));
    const at::Tensor bias = at::zeros({3}, at::TensorOptions(at::kCUDA));
    const at::Tensor out = picture(4, 3, 16 * rows, 16 * cols);
    at::Tensor past;
    print_part("head", 4, event_ms([&] { conv_by_products(last, taps, bias, past, out, true); }), 0,
               54e-12 * 128 * 3 * 4 * static_cast<double>(256 * rows * cols));
    // The step between two levels: channels become pixels, what goes beside is added, a border is laid around.
    Unsummed boxes{picture(4, 512, 8 * rows, 8 * cols), at::zeros({512}, at::TensorOptions(at::kCUDA)), {}};
    boxes.layout = Unsummed::Layout::boxes;
    boxes.shown = 4;
    boxes.around = picture(4, 256, 8 * rows, 8 * cols);
    CausalInput how;
    how.gamma = at::ones({128}, at::TensorOptions(at::kCUDA));
    how.eps = 1e-12;
    how.silu = true;
    at::Tensor before;
    how.past = &before;
    how.keep_sum = true;
    how.replicate = true;
    const double plane = 2e-9 * 128 * 256 * static_cast<double>(rows * cols);
    print_part("input from boxes, 128 channels", 4, event_ms([&] { causal_input(boxes, how); }),
               (4 * (1 + 0.5 + 1 + 3) + 4) * plane, 0);
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
    if (wanted(options, "hunyuan plain")) bench(options, "hunyuan plain", load(plain), video, 1);
    if (wanted(options, "hunyuan")) {
        const HunyuanVae vae = load({});
        for (const int latents : {1, 2, 4}) bench(options, "hunyuan", vae, video, latents);
    }
    for (const auto& [name, frames] : {std::pair{"hunyuan, one frame a pass", 1}, {"hunyuan, two frames a pass", 2}}) {
        if (wanted(options, name)) bench(options, name, load(frames_a_pass(frames)), video, 1);
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
            for (const Video& size : sizes) bench(options, name + " plain", taehv, size, 4);
        }
        if (!wanted(options, name)) return;
        const Taehv taehv = load(config, false);
        for (const Video& size : sizes) {
            for (const int latents : {1, 2, 4}) bench(options, name, taehv, size, latents);
        }
    };
    rows("tinywan22", config_of(48, 0), {video(44, 80), video(30, 52)});
    rows("tinyhunyuan", config_of(32, 0), {video(30, 52)});
    rows("tinyhunyuan leaky", config_of(32, 0.2), {video(30, 52)});
}

// Of four latents at 704x1280: the last convolution with as many rows as it needs and with a multiple of eight, a
// memory block's convolution in the finest level, bare and with what follows it.
void bench_tiny_parts() {
    const auto bf16 = at::TensorOptions(at::kCUDA).dtype(at::kBFloat16);
    const auto conv_of = [&](std::int64_t out, std::int64_t in) {
        return make_plain_conv(at::randn({out, in, 3, 3}, bf16) * 0.05, at::randn({out}, bf16), at::kCUDA,
                               at::kBFloat16);
    };
    const auto picture = [&](std::int64_t frames, std::int64_t channels, std::int64_t larger) {
        return at::randn({frames, channels, 44 * larger, 80 * larger}, bf16).contiguous(at::MemoryFormat::ChannelsLast);
    };
    const at::Tensor last = picture(16, 64, 8), middle = picture(8, 64, 4), coarse = picture(4, 256, 1);
    const double last_teraflop = 18e-12 * 64 * 16 * 352 * 640;
    for (const std::int64_t rows : {3, 8, 12, 16}) {
        const PlainConv conv = conv_of(rows, 64);
        print_part("tiny, last, 64 -> " + std::to_string(rows), 16, event_ms([&] { conv_only(conv, last); }), 0,
                   last_teraflop * static_cast<double>(rows));
    }
    for (const at::Tensor& x : {middle, coarse}) {
        const PlainConv conv = conv_of(x.size(1), x.size(1));
        const double teraflop = 18e-12 * static_cast<double>(x.size(1) * x.numel());
        print_part("tiny, memory block's", x.size(0), event_ms([&] { conv_only(conv, x); }), 0, teraflop);
        print_part("tiny, memory block's, ReLU", x.size(0), event_ms([&] { conv_add_relu(conv, x, x, true); }), 0,
                   teraflop);
        print_part("tiny, memory block's, LeakyReLU", x.size(0),
                   event_ms([&] { conv_add_relu(conv, x, x, true, 0.2); }), 0, teraflop);
    }
}

int run(const Options& options) {
    const c10::InferenceMode inference;
    const auto device = pick_device("cuda", "bf16", 0);
    if (!device) {
        std::fprintf(stderr, "%s\n", device.error().message.c_str());
        return 1;
    }
    std::printf("{\"device\": \"%s\", \"rows\": %lld, \"cols\": %lld}\n", device->name.c_str(),
                static_cast<long long>(options.rows), static_cast<long long>(options.cols));
    at::manual_seed(1);
    if (options.parts && wanted(options, "full")) bench_parts(options);
    if (options.parts && wanted(options, "wan22")) bench_wan22_parts(44, 80);
    if (options.parts && wanted(options, "hunyuan")) bench_hunyuan_parts(30, 52);
    if (options.parts && wanted(options, "tiny")) bench_tiny_parts();
    bench_wan22(options);
    bench_hunyuan(options);
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
    if (wanted(options, "full plain")) bench(options, "full plain", vae(plain), full_video, 1);
    if (wanted(options, "full")) {
        const WanVae full = vae({});
        bench(options, "full", full, full_video, 3);
        bench(options, "full", full, full_video, 1);
    }
    if (wanted(options, "full, one frame a pass")) {
        DecodeTuning narrow;
        narrow.pixels_per_pass = 64 * options.rows * options.cols; // one frame of the finest level
        const WanVae full = vae(narrow);
        bench(options, "full, one frame a pass", full, full_video, 3);
        bench(options, "full, one frame a pass", full, full_video, 1);
    }
    const auto tiny = [&](bool plain_operations) {
        return *Taehv::load({}, random_tensor, at::kCUDA, at::kBFloat16, false, true, plain_operations);
    };
    if (wanted(options, "tiny plain")) bench(options, "tiny plain", tiny(true), tiny_video, 3);
    if (wanted(options, "tiny")) {
        const Taehv fused = tiny(false);
        bench(options, "tiny", fused, tiny_video, 3);
        bench(options, "tiny", fused, tiny_video, 1);
    }
    bench_tiny_worldplay(options);
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    Options options;
    for (int i = 1; i < argc; ++i) {
        const auto value = [&](const char* name) { return std::strcmp(argv[i], name) == 0 && i + 1 < argc; };
        if (value("--rows")) {
            options.rows = std::atoi(argv[++i]);
        } else if (value("--cols")) {
            options.cols = std::atoi(argv[++i]);
        } else if (value("--chunks")) {
            options.chunks = std::atoi(argv[++i]);
        } else if (value("--only")) {
            options.only = argv[++i];
        } else if (std::strcmp(argv[i], "--parts") == 0) {
            options.parts = true;
        } else {
            std::fprintf(stderr, "usage: decode_bench [--rows N] [--cols N] [--chunks N] [--parts] [--only WORD]\n");
            return 2;
        }
    }
    return run(options);
}

#else

int main() {
    std::fprintf(stderr, "this program was built without CUDA\n");
    return 1;
}

#endif
