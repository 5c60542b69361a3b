#include "tests/bench/decode/measure.hpp"

#include "tests/bench/figures.hpp"
#include "tests/bench/gpu_event.hpp"

#include <ATen/ATen.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <cuda_runtime_api.h>

#include <cstdio>
#include <vector>

namespace wander::bench {
namespace {

c10::CachingDeviceAllocator::Stat allocated() {
    return c10::cuda::CUDACachingAllocator::getDeviceStats(0)
        .allocated_bytes[static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE)];
}

} // namespace

bool wanted(const Options& options, const std::string& name) {
    return options.only.empty() || name.find(options.only) != std::string::npos;
}

void bench_decoder(const Options& options, const std::string& name, const VideoDecoder& decoder, const Video& video,
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

} // namespace wander::bench
