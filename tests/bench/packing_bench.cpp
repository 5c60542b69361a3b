// What packing adds to the passes of the 1.3B transformer at 480x832 on an NVIDIA GPU (random weights, sink 3, window
// 42 latents, four denoise passes and the context pass, no decoder). For every format, packed beside the context pass
// and in one piece at the commit: medians over the timed chunks of denoising, the context pass, the whole chunk and
// packing itself, in ms; the slowest chunk over the median; peaks of the ledger and of torch's allocator in MiB. The
// uncompressed cache comes first and last. Prints one line a run and one JSON object.
//
// As in a walk the passes have priority over packing; WANDER_EQUAL_PRIORITY=1 takes that away.
//
//     packing_bench [--formats int2,...] [--chunks 9] [--modes beside,commit] [--attention bf16|fp8]
#include "generator/gpu_streams.hpp"
#include "generator/rollout/rollout.hpp"
#include "tests/bench/figures.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

#if WANDER_CUDA
#include "tests/support/cuda_runtime.hpp"

#include <c10/cuda/CUDACachingAllocator.h>
#include <cuda_runtime_api.h>

namespace {

using namespace wander;
using bench::median;
using bench::now_ms;
using nlohmann::json;

constexpr int kRows = 60, kCols = 104, kTokens = kRows * kCols / 4;
constexpr int kChunk = 3;
constexpr int kWindow = 42;
constexpr double kMiB = 1024.0 * 1024.0;

DitConfig published() {
    DitConfig config;
    config.dim = 1536;
    config.layers = 30;
    config.heads = 12;
    config.head_dim = 128;
    config.ffn = 8960;
    config.rope_time_channels = 44;
    config.rope_row_channels = 42;
    config.rope_col_channels = 42;
    config.text_dim = 4096;
    config.text_len = 512;
    return config;
}

Result<at::Tensor> random_weight(const std::string& name, const std::vector<std::int64_t>& shape) {
    const at::Tensor r = at::randn(shape, at::TensorOptions().dtype(at::kFloat).device(at::kCUDA));
    if (name.find("norm") != std::string::npos && name.ends_with("weight")) return r * 0.2 + 1;
    if (name.ends_with("bias")) return r * 0.1;
    if (name.ends_with("modulation")) return r * 0.3;
    return r / std::sqrt(static_cast<double>(r.numel() / shape[0]));
}

struct Settings {
    std::vector<std::string> formats = {"int2"};
    std::vector<std::string> modes = {"beside", "commit"};
    int chunks = 9;
    quant::CachePolicy policy;
};

json measure(const std::shared_ptr<WanDit>& dit, const Settings& settings, const std::string& format, bool beside) {
    const DitConfig c = published();
    quant::CachePolicy policy = settings.policy;
    policy.format = format;
    policy.pack_beside = beside;
    c10::cuda::CUDACachingAllocator::emptyCache();
    c10::cuda::CUDACachingAllocator::resetPeakStats(0);
    auto cache = quant::KvCache::create({c.layers, c.heads, c.head_dim, kTokens, kChunk, kChunk, kWindow}, policy,
                                        at::Device(at::kCUDA, 0), at::kBFloat16);
    TORCH_CHECK(cache, "packing_bench: ", cache ? "" : cache.error().message);
    Rollout::Config config;
    config.sampler = SamplerConfig::self_forcing(5, {1000, 750, 500, 250});
    config.rows = kRows;
    config.cols = kCols;
    config.draw_ahead = true;
    Rollout rollout(dit, std::move(*cache), config, keyed_noise(1));
    ChunkInput input;
    input.latents = kChunk;
    const at::Tensor latents = at::randn({kChunk, c.channels, kRows, kCols}, at::kFloat);
    for (int held = 0; held < kWindow + kChunk; held += kChunk) rollout.prefill(latents, input);
    rollout.generate(input); // plans of this length
    cudaDeviceSynchronize();
    (void)rollout.cache().take_times();
    std::vector<double> denoise, context, encode, chunk;
    for (int n = 0; n < settings.chunks; ++n) {
        const double begin = now_ms();
        rollout.generate(input);
        const RolloutTimes times = rollout.last_times();
        cudaDeviceSynchronize();
        chunk.push_back(now_ms() - begin);
        denoise.push_back(times.denoise_ms);
        context.push_back(times.context_ms);
        encode.push_back(rollout.cache().take_times().encode_ms);
    }
    const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(0);
    const double most = static_cast<double>(
        stats.allocated_bytes[static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE)].peak);
    const double reserved = static_cast<double>(
        stats.reserved_bytes[static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE)].peak);
    json result = {{"format", format},
                   {"mode", beside ? "beside" : "commit"},
                   {"denoise_ms", median(denoise)},
                   {"context_ms", median(context)},
                   {"chunk_ms", median(chunk)},
                   {"slowest", *std::max_element(chunk.begin(), chunk.end()) / median(chunk)},
                   {"packing_ms", median(encode)},
                   {"ledger_peak_mib", static_cast<double>(rollout.cache().ledger().peak_bytes) / kMiB},
                   {"allocator_peak_mib", most / kMiB},
                   {"reserved_peak_mib", reserved / kMiB}};
    std::printf("%s\n", result.dump().c_str());
    std::fflush(stdout);
    return result;
}

std::vector<std::string> words(const std::string& text) {
    std::vector<std::string> out;
    std::stringstream stream(text);
    for (std::string word; std::getline(stream, word, ',');) out.push_back(word);
    return out;
}

Settings read_settings(int argc, char** argv) {
    Settings settings;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string name = argv[i];
        const std::string value = argv[i + 1];
        if (name == "--formats") settings.formats = words(value);
        if (name == "--modes") settings.modes = words(value);
        if (name == "--chunks") settings.chunks = std::stoi(value);
        if (name == "--attention" && value == "fp8") settings.policy.attention = quant::AttentionType::fp8;
    }
    return settings;
}

} // namespace

int main(int argc, char** argv) {
    const c10::InferenceMode inference;
    const Settings settings = read_settings(argc, argv);
    if (!test::open_cuda()) {
        std::fprintf(stderr, "packing_bench: there is no CUDA device\n");
        return 2;
    }
    at::globalContext().lazyInitDevice(at::kCUDA);
    const WalkStream stream(at::Device(at::kCUDA, 0));
    cudaDeviceProp properties{};
    cudaGetDeviceProperties(&properties, 0);
    auto loaded =
        WanDit::load(published(), random_weight, at::Device(at::kCUDA, 0), at::kBFloat16, nn::WeightType::compute);
    TORCH_CHECK(loaded, "packing_bench: ", loaded ? "" : loaded.error().message);
    loaded->set_text(*random_weight("text", {120, published().text_dim}));
    const auto dit = std::make_shared<WanDit>(std::move(*loaded));
    json runs = json::array();
    runs.push_back(measure(dit, settings, "bf16", true));
    for (const std::string& format : settings.formats) {
        for (const std::string& mode : settings.modes) {
            runs.push_back(measure(dit, settings, format, mode == "beside"));
        }
    }
    runs.push_back(measure(dit, settings, "bf16", true));
    std::printf("%s\n", json{{"device", properties.name}, {"runs", runs}}.dump(1).c_str());
}
#else
int main() {
    std::puts("packing_bench: built without CUDA");
    return 0;
}
#endif
