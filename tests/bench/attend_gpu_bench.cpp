// The cache on an NVIDIA GPU at the 1.3B shape (30 layers, 12 heads x 128, 1,560 tokens a latent, chunks and pages of 3
// latents, sink 3): for every format the time of one layer-forward of attention, of packing, of converting, and what
// memory it really saves. Prints one JSON object.
//
//     attend_gpu_bench [--formats a,b,...] [--latents 42,168,180] [--layers 30] [--attention bf16|fp8] [--out
//     FILE.json] ncu --profile-from-start off --cache-control none --clock-control none --metrics dram__bytes.sum
//         attend_gpu_bench --profile int2 --latents 180      DRAM traffic of one layer-forward, kernel by kernel
//
// Keys and values are random: a few centres a head with Gaussian noise around them, as page_rules.hpp expects of video.
// The yardstick is cuDNN's BF16 attention over one dense cache of keys that are turned already (a cache that nothing
// has to be done to), in the same run.
#include "quant/format.hpp"
#include "quant/kv_cache.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#if WANDER_CUDA
#include "tests/bench/figures.hpp"
#include "tests/bench/gpu_event.hpp"
#include "tests/support/cuda_runtime.hpp"

#include <c10/core/AllocatorConfig.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <cuda_profiler_api.h>
#include <cuda_runtime_api.h>

namespace {

using nlohmann::json;
using wander::MemoryLedger;
using wander::bench::Event;
using wander::bench::median;
using wander::bench::ms_of;
using wander::quant::CachePolicy;
using wander::quant::CacheShape;
using wander::quant::FormatRegistry;
using wander::quant::KvCache;
using wander::quant::PageFormat;
using wander::quant::PageShape;
using wander::quant::ReadView;

constexpr int kChunkLatents = 3;
constexpr int kTokens = 1560;
constexpr int kHeads = 12;
constexpr int kHeadDim = 128;
constexpr int kTimed = 12;
constexpr double kMiB = 1024.0 * 1024.0;

CacheShape shape_of(int layers, int window) {
    return {.layers = layers,
            .heads = kHeads,
            .head_dim = kHeadDim,
            .tokens_per_latent = kTokens,
            .page_latents = kChunkLatents,
            .sink_latents = kChunkLatents,
            .window_latents = window};
}

at::TensorOptions bf16() { return at::TensorOptions().dtype(at::kBFloat16).device(at::kCUDA); }

// One chunk of keys or values; what changes between calls is the noise alone, so the centres persist as in video.
class Rows {
public:
    Rows()
        : centres_(at::randn({48, kHeads, kHeadDim}, bf16()) + 2 * at::randn({1, kHeads, kHeadDim}, bf16())),
          member_(at::randint(48, {kChunkLatents * kTokens}, bf16().dtype(at::kLong))) {}
    at::Tensor next() const {
        return at::index_select(centres_, 0, member_) +
               0.5 * at::randn({kChunkLatents * kTokens, kHeads, kHeadDim}, bf16());
    }

private:
    at::Tensor centres_;
    at::Tensor member_;
};

ReadView view_of(const KvCache& cache, std::int64_t first_latent) {
    ReadView view;
    view.first_latent = first_latent;
    view.latents = kChunkLatents;
    for (const std::int64_t latent : cache.visible_history(first_latent)) {
        view.history_positions.push_back(static_cast<float>(latent));
    }
    for (int n = 0; n < kChunkLatents; ++n) {
        view.new_positions.push_back(static_cast<float>(first_latent + n));
    }
    view.time_frequencies = at::pow(10000.0, -at::arange(22, at::kDouble) / 22.0);
    static const at::Tensor angles = at::rand({kTokens, 42}, at::kDouble);
    view.space_angles = angles;
    return view;
}

struct Spread {
    double median = 0;
    double p99 = 0;
};

template <class Work>
Spread timed(Work&& work) {
    Event begin, end;
    for (int i = 0; i < 3; ++i) {
        work();
    }
    std::vector<double> ms;
    for (int i = 0; i < kTimed; ++i) {
        ms.push_back(ms_of(begin, end, work));
    }
    std::sort(ms.begin(), ms.end());
    return {ms[ms.size() / 2], ms.back()};
}

std::unique_ptr<KvCache> open(const CacheShape& shape, CachePolicy policy) {
    auto cache = KvCache::create(shape, policy, at::Device(at::kCUDA, 0), at::kBFloat16);
    if (!cache) {
        std::fprintf(stderr, "attend_gpu_bench: %s\n", cache.error().message.c_str());
        return nullptr;
    }
    return std::move(*cache);
}

void add_chunk(KvCache& cache, const CacheShape& shape, std::int64_t latent, const Rows& rows) {
    cache.begin_chunk(view_of(cache, latent));
    for (int layer = 0; layer < shape.layers; ++layer) {
        cache.write(layer, rows.next(), rows.next());
    }
    cache.commit();
}

struct Settings {
    std::vector<std::string> formats;
    std::vector<int> latents = {42, 168, 180};
    int layers = 30; // 0: no measurement of memory
    std::string profile;
    CachePolicy policy;
    std::string out;
};

// One layer-forward over `history` latents.
json layer_forward(const std::string& format, int history, const Settings& settings, const Rows& rows) {
    const CacheShape shape = shape_of(1, history); // all of it is visible
    CachePolicy policy = settings.policy;
    policy.format = format;
    auto cache = open(shape, policy);
    if (!cache) {
        return nullptr;
    }
    for (int latent = 0; latent < history; latent += kChunkLatents) {
        add_chunk(*cache, shape, latent, rows);
    }
    cache->begin_chunk(view_of(*cache, history));
    const at::Tensor q = rows.next();
    const at::Tensor k = rows.next();
    const at::Tensor v = rows.next();
    if (settings.profile == format) {
        cache->attend(0, q, k, v);
        cudaDeviceSynchronize();
        cudaProfilerStart();
        cache->attend(0, q, k, v);
        cudaDeviceSynchronize();
        cudaProfilerStop();
        return nullptr;
    }
    cache->take_times();
    const Spread spread = timed([&] { cache->attend(0, q, k, v); });
    const double expand_ms = cache->take_times().expand_ms / (kTimed + 3);
    const MemoryLedger ledger = cache->ledger();
    // The chunk at hand does not count: its pages are there, uncompressed, whatever the format.
    const double chunk_bytes = 2.0 * kChunkLatents * kTokens * kHeads * kHeadDim * 2;
    return {{"ms", spread.median},
            {"p99_ms", spread.p99},
            {"expand_ms", expand_ms},
            {"scratch_mib", static_cast<double>(ledger.scratch_bytes) / kMiB},
            {"cache_ratio",
             static_cast<double>(ledger.bf16_equivalent_bytes) / (static_cast<double>(ledger.bytes()) - chunk_bytes)},
            {"packed_ratio", ledger.packed_ratio()}};
}

// cuDNN's BF16 attention over dense keys and values, nothing to turn, nothing to merge.
json dense_forward(int history) {
    const auto heads_first = [](std::int64_t tokens) {
        return at::randn({1, tokens, kHeads, kHeadDim}, bf16()).transpose(1, 2);
    };
    const at::Tensor q = heads_first(static_cast<std::int64_t>(kChunkLatents) * kTokens);
    const at::Tensor k = heads_first(static_cast<std::int64_t>(history + kChunkLatents) * kTokens);
    const at::Tensor v = heads_first(static_cast<std::int64_t>(history + kChunkLatents) * kTokens);
    const double scale = 1.0 / std::sqrt(static_cast<double>(kHeadDim));
    const Spread cudnn =
        timed([&] { at::_scaled_dot_product_cudnn_attention(q, k, v, std::nullopt, true, 0.0, false, false, scale); });
    const Spread flash = timed([&] { at::_scaled_dot_product_flash_attention(q, k, v, 0.0, false, false, scale); });
    return {{"cudnn_ms", cudnn.median}, {"flash_ms", flash.median}};
}

std::int64_t allocated_peak() {
    const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(0);
    return stats.allocated_bytes[static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE)].peak;
}

constexpr int kWalkedLatents = 54;

// All layers, a window of 42 latents, one attention a layer and chunk. encode_ms: what packing took at each commit,
// where it all happens there.
std::unique_ptr<KvCache> walked(const CachePolicy& policy, const CacheShape& shape, const Rows& rows,
                                std::vector<double>& encode_ms) {
    auto cache = open(shape, policy);
    for (int latent = 0; cache && latent < kWalkedLatents; latent += kChunkLatents) {
        cache->begin_chunk(view_of(*cache, latent));
        for (int layer = 0; layer < shape.layers; ++layer) {
            const at::Tensor k = rows.next();
            const at::Tensor v = rows.next();
            cache->attend(layer, rows.next(), k, v);
            cache->write(layer, k, v);
        }
        cache->take_times();
        cache->commit();
        encode_ms.push_back(cache->take_times().encode_ms);
    }
    return cache;
}

// What the cache says of its peak and what torch's allocator saw; then packing and converting of one page group, in one
// piece and alone.
json whole_cache(const std::string& format, const Settings& settings, const Rows& rows) {
    const CacheShape shape = shape_of(settings.layers, 42);
    CachePolicy policy = settings.policy;
    policy.format = format;
    std::vector<double> encode_ms;
    c10::cuda::CUDACachingAllocator::emptyCache();
    c10::cuda::CUDACachingAllocator::resetPeakStats(0);
    const std::int64_t before = allocated_peak();
    auto cache = walked(policy, shape, rows, encode_ms);
    if (!cache) {
        return nullptr;
    }
    const std::int64_t peak = allocated_peak();
    const MemoryLedger ledger = cache->ledger();
    cache.reset();
    encode_ms.clear();
    policy.pack_beside = false;
    cache = walked(policy, shape, rows, encode_ms);
    json result = {{"ledger_peak_mib", static_cast<double>(ledger.peak_bytes) / kMiB},
                   {"allocator_peak_mib", static_cast<double>(peak - before) / kMiB},
                   {"cache_mib", static_cast<double>(ledger.bytes()) / kMiB},
                   {"encode_ms_per_group", median(std::vector<double>(encode_ms.begin() + 4, encode_ms.end()))},
                   {"encode_ms_most", *std::max_element(encode_ms.begin() + 4, encode_ms.end())},
                   {"encode_ms_first", encode_ms[2]}};
    // The converter visits one group a commit; the last commit above packed a group in its turn.
    if (format != "bf16") {
        for (const char* to : {"bf16", format.c_str()}) {
            if (!cache->set_format(to)) {
                continue;
            }
            cache->take_times();
            const std::int64_t latent = kWalkedLatents + (to == format ? kChunkLatents : 0);
            add_chunk(*cache, shape, latent, rows);
            const double ms = cache->take_times().encode_ms;
            const double group_bytes = 2.0 * shape.layers * kChunkLatents * kTokens * kHeads * kHeadDim * 2;
            // To bf16: one old group is unpacked. Back: the group that became full and one old group are packed.
            const double groups = to == format ? 2 : 1;
            result[to == format ? "pack_gb_per_s" : "unpack_gb_per_s"] = groups * group_bytes / ms / 1e6;
        }
    }
    return result;
}

double nominal_ratio(const PageFormat& format, int tokens, int heads, int tokens_per_latent) {
    double packed = 0;
    double raw = 0;
    for (const bool is_key : {true, false}) {
        const PageShape page{tokens, heads, kHeadDim, is_key, at::kBFloat16, tokens_per_latent};
        if (!format.supports(page)) {
            return 0;
        }
        packed += static_cast<double>(format.bytes(page, {}).total());
        raw += static_cast<double>(page.values()) * 2;
    }
    return raw / packed;
}

std::vector<std::string> words(const std::string& text) {
    std::vector<std::string> out;
    std::stringstream stream(text);
    for (std::string word; std::getline(stream, word, ',');) {
        out.push_back(word);
    }
    return out;
}

Settings read_settings(int argc, char** argv) {
    Settings settings;
    for (const PageFormat* format : FormatRegistry::instance().formats()) {
        settings.formats.emplace_back(format->name());
    }
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string name = argv[i];
        const std::string value = argv[i + 1];
        if (name == "--formats") settings.formats = words(value);
        if (name == "--layers") settings.layers = std::stoi(value);
        if (name == "--out") settings.out = value;
        if (name == "--slice-mib") settings.policy.slice_bytes = std::stoll(value) << 20;
        if (name == "--profile") settings.profile = value;
        if (name == "--attention" && value == "fp8") {
            settings.policy.attention = wander::quant::AttentionType::fp8;
        }
        if (name == "--heads") settings.policy.heads_together = std::stoi(value);
        if (name == "--latents") {
            settings.latents.clear();
            for (const std::string& word : words(value)) settings.latents.push_back(std::stoi(word));
        }
    }
    return settings;
}

} // namespace

int main(int argc, char** argv) {
    const c10::InferenceMode inference;
    const Settings settings = read_settings(argc, argv);
    if (!wander::test::open_cuda()) {
        std::fprintf(stderr, "attend_gpu_bench: there is no CUDA device\n");
        return 2;
    }
    // As the program has it: without, the ends of large blocks would count as memory of the cache.
    c10::CachingAllocator::setAllocatorSettings("expandable_segments:True");
    at::globalContext().lazyInitDevice(at::kCUDA);
    cudaDeviceProp properties{};
    cudaGetDeviceProperties(&properties, 0);
    const Rows rows;
    if (!settings.profile.empty()) {
        for (const int latents : settings.latents) layer_forward(settings.profile, latents, settings, rows);
        return 0;
    }
    json report = {{"device", properties.name}, {"formats", json::array()}};
    for (const int latents : settings.latents) {
        report["dense"][std::to_string(latents)] = dense_forward(latents);
    }
    double bf16_ledger = 0;
    double bf16_allocator = 0;
    bool honest = true;
    for (const std::string& name : settings.formats) {
        const PageFormat* format = FormatRegistry::instance().find(name);
        if (!format) {
            std::fprintf(stderr, "attend_gpu_bench: no format %s; there are: %s\n", name.c_str(),
                         FormatRegistry::instance().names().c_str());
            return 2;
        }
        json entry = {{"name", name}, {"label", format->label()}};
        for (const int latents : settings.latents) {
            json forward = layer_forward(name, latents, settings, rows);
            forward["of_cudnn"] =
                forward["ms"].get<double>() / report["dense"][std::to_string(latents)]["cudnn_ms"].get<double>();
            entry["forward"][std::to_string(latents)] = forward;
        }
        if (settings.layers > 0) {
            json memory = whole_cache(name, settings, rows);
            if (name == "bf16") {
                bf16_ledger = memory["ledger_peak_mib"];
                bf16_allocator = memory["allocator_peak_mib"];
            } else if (bf16_ledger > 0) {
                const double saved_ledger = bf16_ledger - memory["ledger_peak_mib"].get<double>();
                const double saved = bf16_allocator - memory["allocator_peak_mib"].get<double>();
                const bool pass = std::abs(saved_ledger - saved) <= std::max(64.0, 0.01 * saved_ledger);
                memory["saved_ledger_mib"] = saved_ledger;
                memory["saved_allocator_mib"] = saved;
                memory["peak_saved_is_bytes_saved"] = pass;
                honest = honest && pass;
            }
            entry["memory"] = memory;
        }
        entry["hy_doubled_layout_ratio"] = 2 * nominal_ratio(*format, 4 * 880, 24, 880);
        std::fprintf(stderr, "%s\n", entry.dump().c_str());
        report["formats"].push_back(entry);
    }
    report["peak_saved_is_bytes_saved"] = honest;
    if (!settings.out.empty()) {
        std::ofstream(settings.out) << report.dump(1) << "\n";
    } else {
        std::printf("%s\n", report.dump(1).c_str());
    }
    return honest ? 0 : 1;
}

#else

int main() {
    std::fprintf(stderr, "attend_gpu_bench: this build has no CUDA kernels (no nvcc was found)\n");
    return 2;
}

#endif
