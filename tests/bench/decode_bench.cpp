// Decoding on an NVIDIA GPU: milliseconds for a chunk of 3 latents, for the first picture of a video, and memory, of
// the full VAE and the tiny decoder, against the same in torch's plain operations (3-D convolutions, norms and sums one
// by one), in one run. Random weights at the published sizes. One JSON object a line; floors beside (arithmetic at 790
// TFLOP/s).
//
//     decode_bench [--rows 60] [--cols 104] [--chunks 12] [--parts] [--only WORD]
//
// --parts: the pieces of a chunk one by one as well.
#include "generator/device.hpp"
#include "generator/wan/decode_ops.hpp"
#include "generator/wan/taehv.hpp"
#include "generator/wan/vae.hpp"
#include "generator/wan/vae_ops.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <cstdio>

#if WANDER_CUDA
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace {

using namespace wander;

constexpr double kTeraflops = 790;
constexpr double kFullPixels = 60 * 104; // of the latents that these are counted for
constexpr double kFullTeraflop = 13.55;  // per latent
constexpr double kTinyTeraflop = 0.54;

struct Options {
    std::int64_t rows = 60;
    std::int64_t cols = 104;
    int chunks = 12;
    bool parts = false;
    std::string only;
};

double now_ms() {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double> values) {
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
    return values[values.size() / 2];
}

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

void bench(const Options& options, const std::string& name, const VideoDecoder& decoder, int latents_per_call,
           double teraflop_per_latent) {
    if (!options.only.empty() && name.find(options.only) == std::string::npos) return;
    const at::Tensor latents =
        at::randn({3, 16, options.rows, options.cols}, at::TensorOptions(at::kCUDA).dtype(at::kBFloat16));
    const auto stream = decoder.open_stream();
    const auto chunk = [&] {
        for (int begin = 0; begin < 3; begin += latents_per_call)
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
    const double scale = static_cast<double>(options.rows * options.cols) / kFullPixels;
    std::printf(
        "{\"decoder\": \"%s\", \"latents_per_call\": %d, \"chunk_ms\": %.2f, \"floor_ms\": %.1f, \"first_ms\": "
        "%.2f, \"host_ms\": %.2f, \"warm_up_ms\": %.0f, \"state_mib\": %.1f, \"peak_mib\": %.1f}\n",
        name.c_str(), latents_per_call, median(chunk_ms), 3e3 * teraflop_per_latent * scale / kTeraflops,
        median(first_ms), median(host_ms), warm_up_ms, static_cast<double>(stream->state_bytes()) / (1 << 20),
        static_cast<double>(peak) / (1 << 20));
    std::fflush(stdout);
}

double event_ms(const std::function<void()>& call) {
    call();
    cudaEvent_t from{}, to{};
    cudaEventCreate(&from);
    cudaEventCreate(&to);
    const auto stream = c10::cuda::getCurrentCUDAStream().stream();
    std::vector<double> all;
    for (int i = 0; i < 9; ++i) {
        cudaEventRecord(from, stream);
        call();
        cudaEventRecord(to, stream);
        cudaEventSynchronize(to);
        float ms = 0;
        cudaEventElapsedTime(&ms, from, to);
        all.push_back(ms);
    }
    cudaEventDestroy(from);
    cudaEventDestroy(to);
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
    if (options.parts) bench_parts(options);
    const auto vae = [&](const DecodeTuning& tuning) {
        return *WanVae::load(vae_config(), random_tensor, at::kCUDA, at::kBFloat16, false, true, tuning);
    };
    DecodeTuning plain;
    plain.plain = true;
    bench(options, "full plain", vae(plain), 1, kFullTeraflop);
    {
        const WanVae full = vae({});
        bench(options, "full", full, 3, kFullTeraflop);
        bench(options, "full", full, 1, kFullTeraflop);
    }
    {
        DecodeTuning narrow;
        narrow.pixels_per_pass = 64 * options.rows * options.cols; // one frame of the finest level
        const WanVae full = vae(narrow);
        bench(options, "full, one frame a pass", full, 3, kFullTeraflop);
        bench(options, "full, one frame a pass", full, 1, kFullTeraflop);
    }
    const auto tiny = [&](bool plain_operations) {
        return *Taehv::load({}, random_tensor, at::kCUDA, at::kBFloat16, false, true, plain_operations);
    };
    bench(options, "tiny plain", tiny(true), 3, kTinyTeraflop);
    const Taehv fused = tiny(false);
    bench(options, "tiny", fused, 3, kTinyTeraflop);
    bench(options, "tiny", fused, 1, kTinyTeraflop);
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
