// HY-WorldPlay on an NVIDIA GPU: whole chunks with a full context, steered straight ahead, the full decoder beside, as
// the program runs them. Random weights of the published sizes, made on the GPU, a random text and a random history, so
// no folder is needed. One JSON object a line, one for each run:
//   period_ms           from the end of a chunk's context to the next one's; every chunk, and the median behind the
//                       first, which makes plans
//   denoise_ms, context_ms, decode_ms   medians of the same chunks; they overlap
//   cache               bytes at the end, packed ratio, most at one time
//   peak_mib            torch's allocations at their highest since the weights were there, these included; in_use_mib:
//                       all that the GPU counts as used, at the end
//   off                 each chunk's latents against those of the first run, relative; the noise is the same
// With --gpus N (the 8B) each run is made on one GPU and then with its heads split over N, without a decoder unless it
// says `full` or `plain`, and a third line has their ratio:
//   exchange_ms         of a chunk, GPU 0's: from where an exchange begins to its end, waiting for the others included
//   gpus                peak_mib and in_use_mib of each
//   dit_ms              denoise_ms + context_ms, on one GPU and on N; ratio: the one divided by the other
//
//     worldplay_bench [--model 8b|wan-5b|wan-5b-small] [--gpus N] [--fp8-weights] [--parts] [RUN...]
//
// 8b and wan-5b-small are at 480x832, wan-5b at 704x1280. RUN: words joined by commas: a cache format (bf16),
// fp8-attention, fast (context), full, plain or none (decoder), slice:MIB (CachePolicy's; the program's), to:FORMAT
// (the cache's format from chunk `at:N` on, back from the next one on), chunks:N (3). Without any: one of the default.
// --parts: what attention (everything counted: turning, expansion) takes alone with scratch of several sizes, and of
// the 8B the products, one layer after the other without a walk, in ms a chunk and TFLOP/s.
#include "generator/hunyuan/hunyuan_dit_weights.hpp"
#include "generator/hunyuan/hunyuan_vae.hpp"
#include "generator/rollout/worldplay_rollout.hpp"
#include "generator/split/split_rollout.hpp"
#include "generator/wan/vae22.hpp"
#include "generator/wan/wan5b_names.hpp"
#include "tests/support/cuda_runtime.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#if WANDER_CUDA
#include <c10/core/StreamGuard.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

namespace {

using namespace wander;
using nlohmann::json;

constexpr int kHistory = 24; // latents before the first chunk that is made: its context is full
constexpr int kText = 850;   // tokens in front of the 8B's history
constexpr double kMiB = 1024.0 * 1024.0;

at::Device gpu(int index) { return {at::kCUDA, static_cast<c10::DeviceIndex>(index)}; }

// The same values for a name, whatever else was drawn, on every GPU.
at::Tensor random_values(const std::string& name, const std::vector<std::int64_t>& shape, at::Device device = gpu(0)) {
    at::Generator generator = at::globalContext().defaultGenerator(device);
    generator.set_current_seed(fnv1a64(name));
    return at::randn(shape, at::TensorOptions().dtype(at::kFloat).device(device));
}

Result<at::Tensor> random_weight_on(at::Device device, const std::string& name,
                                    const std::vector<std::int64_t>& shape) {
    const at::Tensor r = random_values(name, shape, device);
    if (name.ends_with("gamma") || (name.find("norm") != std::string::npos && name.ends_with("weight")))
        return at::Tensor(r * 0.1 + 1);
    if (name.ends_with("bias")) return at::Tensor(r * 0.05);
    if (name.find("mod") != std::string::npos) return at::Tensor(r * 0.01);
    return at::Tensor(r / std::sqrt(static_cast<double>(r.numel()) / static_cast<double>(shape[0])));
}

Result<at::Tensor> random_weight(const std::string& name, const std::vector<std::int64_t>& shape) {
    return random_weight_on(gpu(0), name, shape);
}

struct Run {
    std::string name;
    quant::CachePolicy policy;
    bool fast = false;
    std::string decoder; // full, plain, none; empty: full on one GPU
    std::string to;      // format in the middle; empty: none
    int at = 1;          // chunk that it begins with
    int chunks = 3;
};

std::optional<Run> read_run(const std::string& text) {
    Run run;
    run.name = text;
    run.policy.slice_bytes = kWorldPlaySliceBytes;
    run.policy.keep_recent = 0; // as the program packs a context that is made in one piece
    std::size_t begin = 0;
    while (begin < text.size()) {
        const std::size_t end = std::min(text.find(',', begin), text.size());
        const std::string word = text.substr(begin, end - begin);
        begin = end + 1;
        if (word == "fp8-attention") {
            run.policy.attention = quant::AttentionType::fp8;
        } else if (word == "fast") {
            run.fast = true;
        } else if (word == "full" || word == "plain" || word == "none") {
            run.decoder = word;
        } else if (word.starts_with("to:")) {
            run.to = word.substr(3);
        } else if (word.starts_with("slice:")) {
            run.policy.slice_bytes = std::atoll(word.c_str() + 6) << 20;
        } else if (word.starts_with("at:")) {
            run.at = std::atoi(word.c_str() + 3);
        } else if (word.starts_with("chunks:")) {
            run.chunks = std::atoi(word.c_str() + 7);
        } else if (!word.empty()) {
            run.policy.format = word;
        }
    }
    if (run.fast) run.policy.keep_recent = 1;
    return run.chunks > 0 ? std::optional(run) : std::nullopt;
}

double now_ms() {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values.empty() ? 0 : values[values.size() / 2];
}

c10::CachingDeviceAllocator::Stat allocated(int device = 0) {
    return c10::cuda::CUDACachingAllocator::getDeviceStats(static_cast<c10::DeviceIndex>(device))
        .allocated_bytes[static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE)];
}
double mib(std::int64_t bytes) { return static_cast<double>(bytes) / kMiB; }
double in_use_mib(int device = 0) {
    const c10::cuda::CUDAGuard guard(static_cast<c10::DeviceIndex>(device));
    std::size_t free_bytes = 0, all_bytes = 0;
    cudaMemGetInfo(&free_bytes, &all_bytes);
    return mib(static_cast<std::int64_t>(all_bytes - free_bytes));
}

void check(cudaError_t error) { TORCH_CHECK(error == cudaSuccess, "worldplay_bench: ", cudaGetErrorString(error)); }

class Event {
public:
    Event() { check(cudaEventCreate(&event_)); }
    ~Event() { cudaEventDestroy(event_); }
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;
    void record() { check(cudaEventRecord(event_, c10::cuda::getCurrentCUDAStream().stream())); }
    void block(c10::cuda::CUDAStream stream) const { check(cudaStreamWaitEvent(stream.stream(), event_, 0)); }
    double ms_since(const Event& begin) const {
        check(cudaEventSynchronize(event_));
        float ms = 0;
        check(cudaEventElapsedTime(&ms, begin.event_, event_));
        return static_cast<double>(ms);
    }

private:
    cudaEvent_t event_ = nullptr;
};

// On its own stream, a latent a call, as decode_thread.hpp does it; the caller's thread hands the work over.
class Decoding {
public:
    explicit Decoding(const VideoDecoder& vae)
        : vae_(vae), stream_(vae.open_stream()), cuda_stream_(c10::cuda::getStreamFromPool(false, 0)) {}
    void chunk(const at::Tensor& latents) {
        if (busy_) ms_.push_back(end_.ms_since(begin_)); // one chunk at a time
        Event ready;
        ready.record();
        const c10::cuda::CUDAStreamGuard guard(cuda_stream_);
        ready.block(cuda_stream_);
        begin_.record();
        for (std::int64_t i = 0; i < latents.size(0); i += vae_.latents_per_call())
            frames_ = stream_->decode(latents.narrow(0, i, vae_.latents_per_call()));
        end_.record();
        kept_ = latents;
        busy_ = true;
    }
    double median_ms() {
        if (busy_) ms_.push_back(end_.ms_since(begin_));
        busy_ = false;
        if (!ms_.empty()) ms_.erase(ms_.begin());
        return median(ms_);
    }
    bool finite() const { return frames_.isfinite().all().item<bool>(); }
    double state_mib() const { return mib(stream_->state_bytes()); }

private:
    const VideoDecoder& vae_;
    std::unique_ptr<VideoDecodeStream> stream_;
    c10::cuda::CUDAStream cuda_stream_;
    Event begin_, end_;
    at::Tensor kept_, frames_;
    bool busy_ = false;
    std::vector<double> ms_;
};

struct Model {
    std::shared_ptr<const WorldPlayNet> net;
    std::shared_ptr<const HunyuanDit> dit;                       // of the 8B
    std::vector<std::shared_ptr<HeadSplit>> splits;              // of several GPUs
    std::vector<std::shared_ptr<const WorldPlayNet>> split_nets; // likewise, as its rank each
    std::vector<quant::TextRows> text;                           // likewise
    WorldPlaySchedule schedule;
    int rows = 30, cols = 52, patch = 1; // latents, and of a side of a token
    int layers = 0, heads = 0, head_dim = 0;
    double weights_mib = 0;

    int tokens() const { return rows * cols / patch / patch; }
    quant::CacheShape shape() const { return {layers, heads, head_dim, tokens(), kLatentsPerChunk, 0, 0}; }
};

template <class T>
T unwrap(Result<T> result) {
    TORCH_CHECK(result, "worldplay_bench: ", result ? "" : result.error().message);
    return std::move(*result);
}

std::shared_ptr<const HunyuanDit> load_8b(nn::WeightType weights, at::Device device) {
    const auto source = [device](const std::string& name, const std::vector<std::int64_t>& shape) {
        return random_weight_on(device, name, shape);
    };
    return std::make_shared<HunyuanDit>(unwrap(HunyuanDit::load({}, source, device, at::kBFloat16, weights)));
}

Model open_8b(nn::WeightType weights, int gpus) {
    Model model;
    const auto before = allocated().current;
    model.dit = load_8b(weights, gpu(0));
    model.weights_mib = mib(allocated().current - before);
    model.net = model.dit;
    const HunyuanConfig& c = model.dit->config();
    model.layers = c.layers;
    model.heads = c.heads;
    model.head_dim = c.head_dim;
    model.schedule = WorldPlaySchedule::worldplay_8b();
    for (int layer = 0; layer < c.layers; ++layer) {
        const auto rows = [&](const char* what) {
            return random_values(what + std::to_string(layer), {kText, c.heads, c.head_dim}).to(at::kBFloat16);
        };
        model.text.push_back({rows("keys"), rows("values")});
    }
    if (gpus == 1) return model;
    std::vector<at::Device> devices;
    for (int i = 0; i < gpus; ++i) devices.push_back(gpu(i));
    model.splits = unwrap(HeadSplit::open(devices));
    for (int i = 0; i < gpus; ++i) {
        const c10::cuda::CUDAGuard guard(static_cast<c10::DeviceIndex>(i));
        const auto whole = i == 0 ? model.dit : load_8b(weights, gpu(i));
        model.split_nets.push_back(
            std::make_shared<HunyuanDit>(whole->as_rank(model.splits[static_cast<std::size_t>(i)])));
    }
    return model;
}

Model open_wan_5b(nn::WeightType weights, bool small) {
    Model model;
    const DitConfig c = wan5b_config();
    const auto before = allocated().current;
    auto dit = std::make_shared<WanDit>(
        unwrap(WanDit::load(c, random_weight, at::Device(at::kCUDA, 0), at::kBFloat16, weights)));
    dit->set_text(random_values("text", {120, c.text_dim}));
    model.weights_mib = mib(allocated().current - before);
    model.net = worldplay_net(std::move(dit));
    model.layers = c.layers;
    model.heads = c.heads;
    model.head_dim = c.head_dim;
    model.patch = 2;
    if (!small) {
        model.rows = 44;
        model.cols = 80;
    }
    model.schedule = WorldPlaySchedule::wan_5b();
    return model;
}

class Bench {
public:
    explicit Bench(Model model) : model_(std::move(model)) {
        // Steps of a straight path.
        cameras_ = cameras_from_moves(std::vector<CameraMove>(kHistory + 128, CameraMove{.forward = 0.08}));
    }

    const Model& model() const { return model_; }

    json run(const Run& run, int gpus = 1) {
        const VideoDecoder* vae = run.decoder == "none" ? nullptr : &decoder(run.decoder == "plain");
        c10::cuda::CUDACachingAllocator::emptyCache();
        const auto before = allocated().current;
        for (int i = 0; i < gpus; ++i)
            c10::cuda::CUDACachingAllocator::resetPeakStats(static_cast<c10::DeviceIndex>(i));
        const auto opened = gpus > 1 ? open_split(run) : open(run);
        WorldPlayRollout& rollout = *opened;
        std::optional<Decoding> decoding;
        if (vae) decoding.emplace(*vae);
        rollout.prepare(next(rollout));
        (void)rollout.last_times();
        if (gpus > 1) (void)model_.splits.front()->take_ms();
        std::vector<double> periods, denoise, context, exchange, off;
        for (int chunk = 0; chunk < run.chunks; ++chunk) {
            const double begin = now_ms();
            // What is asked for holds from the context that is made next on.
            if (!run.to.empty() && (chunk == run.at || chunk == run.at + 1))
                TORCH_CHECK(rollout.cache().set_format(chunk == run.at ? run.to : run.policy.format),
                            "worldplay_bench: no format ", run.to);
            const at::Tensor latents = rollout.generate(next(rollout));
            if (decoding) decoding->chunk(latents);
            rollout.prepare(next(rollout));
            const RolloutTimes times = rollout.last_times(); // waits
            periods.push_back(now_ms() - begin);
            denoise.push_back(times.denoise_ms);
            context.push_back(times.context_ms);
            if (gpus > 1) exchange.push_back(model_.splits.front()->take_ms());
            if (!first_.empty() || made_first_)
                off.push_back(relative(latents, chunk));
            else
                remembered_.push_back(latents.cpu());
        }
        if (!made_first_) {
            first_ = std::move(remembered_);
            made_first_ = true;
        }
        const MemoryLedger ledger = rollout.cache().ledger();
        json result = {{"run", run.name},
                       {"period_ms", median(behind_first(periods))},
                       {"periods_ms", periods},
                       {"denoise_ms", median(behind_first(denoise))},
                       {"context_ms", median(behind_first(context))},
                       {"context_latents", rollout.context().latents.size()},
                       {"engine", rollout.cache().attention_engine()},
                       {"off", off}};
        result["cache"] = {{"format", rollout.cache().format()},       {"mib", mib(ledger.bytes())},
                           {"packed_ratio", ledger.packed_ratio()},    {"peak_mib", mib(ledger.peak_bytes)},
                           {"scratch_mib", mib(ledger.scratch_bytes)}, {"text_mib", mib(ledger.text_bytes)}};
        if (decoding) {
            result["decode_ms"] = decoding->median_ms();
            result["finite_frames"] = decoding->finite();
            result["decoder_state_mib"] = decoding->state_mib();
        }
        result["weights_mib"] = {{"transformer", model_.weights_mib}, {"decoder", vae ? decoder_mib_ : 0}};
        result["loop_at_its_beginning_mib"] = mib(before);
        result["peak_mib"] = mib(allocated().peak);
        result["in_use_mib"] = in_use_mib();
        if (gpus > 1) {
            result["exchange_ms"] = median(behind_first(exchange));
            for (int i = 0; i < gpus; ++i)
                result["gpus"].push_back({{"peak_mib", mib(allocated(i).peak)}, {"in_use_mib", in_use_mib(i)}});
        }
        return result;
    }

private:
    const VideoDecoder& decoder(bool plain) {
        if (!vae_ || plain != vae_is_plain_) {
            vae_.reset();
            c10::cuda::CUDACachingAllocator::emptyCache();
            const auto before = allocated().current;
            DecodeTuning tuning;
            tuning.plain = plain;
            const auto load = [&]<class Vae>(const auto& config) -> std::shared_ptr<const VideoDecoder> {
                return std::make_shared<Vae>(unwrap(
                    Vae::load(config, random_weight, at::Device(at::kCUDA, 0), at::kBFloat16, false, true, tuning)));
            };
            vae_ = model_.dit ? load.operator()<HunyuanVae>(HunyuanVaeConfig{})
                              : load.operator()<Wan22Vae>(Vae22Config::published());
            vae_is_plain_ = plain;
            decoder_mib_ = mib(allocated().current - before);
        }
        return *vae_;
    }

    WorldPlayRollout::Config settings(const Run& run) const {
        WorldPlayRollout::Config config;
        config.schedule = model_.schedule;
        config.rows = model_.rows;
        config.cols = model_.cols;
        config.fast_context = run.fast;
        return config;
    }

    std::unique_ptr<quant::KvCache> cache(const Run& run, int gpus, int rank) const {
        quant::CacheShape shape = model_.shape();
        shape.heads /= gpus;
        if (run.fast) {
            shape.sink_latents = model_.schedule.context.anchor;
            shape.window_latents = 2 * model_.schedule.context.latents;
        }
        quant::CachePolicy policy = run.policy;
        if (run.fast) policy.read_latents = model_.schedule.context.latents;
        policy.first_head = rank * shape.heads;
        return unwrap(quant::KvCache::create(shape, policy, gpu(rank), at::kBFloat16));
    }

    std::unique_ptr<WorldPlayRollout> open(const Run& run) const {
        return begin(std::make_unique<WorldPlayRollout>(model_.net, cache(run, 1, 0), settings(run), keyed_noise(7),
                                                        ViewOverlap::of_seed(0)));
    }

    std::unique_ptr<WorldPlayRollout> open_split(const Run& run) const {
        std::vector<SplitRank> ranks;
        const int gpus = static_cast<int>(model_.splits.size());
        for (int rank = 0; rank < gpus; ++rank) {
            const auto index = static_cast<std::size_t>(rank);
            ranks.push_back({model_.splits[index], model_.split_nets[index],
                             [this, &run, gpus, rank] { return cache(run, gpus, rank); }});
        }
        return begin(std::make_unique<SplitRollout>(ranks, settings(run), keyed_noise(7), ViewOverlap::of_seed(0)));
    }

    std::unique_ptr<WorldPlayRollout> begin(std::unique_ptr<WorldPlayRollout> rollout) const {
        if (!model_.text.empty()) rollout->set_text(model_.text);
        WorldPlayHistory history;
        const int channels = model_.net->channels();
        history.latents = random_values("history", {kHistory, channels, model_.rows, model_.cols});
        history.cameras.assign(cameras_.begin(), cameras_.begin() + kHistory);
        history.picture = random_values("picture", {channels, model_.rows, model_.cols});
        rollout->restore(history);
        return rollout;
    }

    std::span<const LatentCamera> next(const WorldPlayRollout& rollout) const {
        return std::span(cameras_).subspan(static_cast<std::size_t>(rollout.next_latent()), kLatentsPerChunk);
    }

    static std::vector<double> behind_first(const std::vector<double>& values) {
        return values.size() > 1 ? std::vector<double>(values.begin() + 1, values.end()) : values;
    }

    double relative(const at::Tensor& latents, int chunk) const {
        if (chunk >= std::ssize(first_)) return -1; // the first run made fewer
        const at::Tensor want = first_[static_cast<std::size_t>(chunk)].to(latents.device());
        return ((latents - want).norm() / want.norm()).item<double>();
    }

    Model model_;
    double decoder_mib_ = 0;
    std::shared_ptr<const VideoDecoder> vae_;
    bool vae_is_plain_ = false;
    std::vector<LatentCamera> cameras_;
    std::vector<at::Tensor> first_, remembered_; // latents of the first run's chunks
    bool made_first_ = false;
};

template <class Work>
double mean_ms(int runs, Work&& work) {
    work();
    Event begin, end;
    begin.record();
    for (int i = 0; i < runs; ++i) work();
    end.record();
    return end.ms_since(begin) / runs;
}

quant::ReadView view_of(const Model& model, int history, int latents) {
    quant::ReadView view;
    view.prope = true;
    view.first_latent = history;
    view.latents = latents;
    for (int i = 0; i < history + latents; ++i)
        (i < history ? view.history_positions : view.new_positions).push_back(static_cast<float>(i));
    model.net->fill_rope(view, model.rows, model.cols);
    view.history_inverse = at::eye(4).repeat({history, 1, 1});
    view.new_inverse = at::eye(4).repeat({latents, 1, 1});
    view.new_projection = view.new_inverse;
    return view;
}

// One layer's attention of the context pass and of a step behind a full context, in both branches.
json attention_alone(const Model& model, const quant::CachePolicy& policy) {
    const int context = model.schedule.context.latents, latents = kLatentsPerChunk;
    const std::int64_t heads = model.heads, head_dim = model.head_dim, tokens = model.tokens();
    quant::CacheShape shape = model.shape();
    shape.layers = 1;
    auto cache = unwrap(quant::KvCache::create(shape, policy, at::Device(at::kCUDA, 0), at::kBFloat16));
    if (!model.text.empty()) cache->set_text({model.text.front()});
    const std::int64_t text = model.text.empty() ? 0 : kText;
    json result;
    double ms_a_chunk = 0, tflop_a_chunk = 0;
    const auto measure = [&](const char* name, int history, int count, int times) {
        const at::Tensor rows = random_values("rows", {count * tokens, 3, heads, head_dim}).to(at::kBFloat16);
        cache->begin_chunk(view_of(model, history, count));
        const double ms =
            mean_ms(5, [&] { cache->attend(0, rows.select(1, 0), rows.select(1, 1), rows.select(1, 2)); });
        const double queries = static_cast<double>(count * tokens);
        const double keys = static_cast<double>(text + (history + count) * tokens);
        const double tflop = 2 * 4e-12 * static_cast<double>(heads * head_dim) * queries * keys;
        result[name] = {{"ms", ms}, {"tflops", tflop / ms * 1e3}};
        ms_a_chunk += times * ms;
        tflop_a_chunk += times * tflop;
        cache->write(0, rows.select(1, 1), rows.select(1, 2));
    };
    measure("context", 0, context, model.layers - 1);
    cache->commit();
    measure("step", context, latents, 4 * model.layers);
    result["ms_a_chunk"] = ms_a_chunk;
    result["tflops"] = tflop_a_chunk / ms_a_chunk * 1e3;
    return result;
}

// The products of one layer for a step's rows and for the context's.
json products_alone(const Model& model) {
    const auto& w = model.dit->weights();
    json result;
    double ms_a_chunk = 0, tflop_a_chunk = 0;
    const auto as_input = [](const nn::Linear& layer, const at::Tensor& rows) {
        return layer.input_type() == at::kFloat8_e4m3fn ? nn::quantise_rows(rows, false) : nn::Activation{rows, {}};
    };
    const HunyuanBlock& block = w.blocks.front();
    const auto measure = [&](const char* name, int latents, int times) {
        const std::int64_t n = std::int64_t{latents} * model.tokens(), dim = w.config.dim;
        const at::Tensor both = random_values("both", {n, 2 * dim}).to(at::kBFloat16);
        const at::Tensor hidden = random_values("hidden", {n, w.config.mlp}).to(at::kBFloat16);
        const nn::Activation in = as_input(block.qkv, random_values("in", {n, dim}).to(at::kBFloat16));
        const nn::Activation mid = as_input(block.mlp_out, hidden);
        const double ms = mean_ms(10, [&] {
            block.qkv(in);
            block.out.addend({both, {}});
            block.mlp_in.with_gelu(in, block.mlp_out);
            block.mlp_out.addend(mid);
        });
        const double tflop = 2e-12 * static_cast<double>(n * dim) * static_cast<double>(5 * dim + 2 * w.config.mlp);
        result[name] = {{"ms", ms}, {"tflops", tflop / ms * 1e3}};
        ms_a_chunk += times * ms;
        tflop_a_chunk += times * tflop;
    };
    measure("context", 20, w.config.layers - 1);
    measure("step", kLatentsPerChunk, 4 * w.config.layers);
    result["ms_a_chunk"] = ms_a_chunk;
    result["tflops"] = tflop_a_chunk / ms_a_chunk * 1e3;
    return result;
}

} // namespace

int main(int argc, char** argv) {
    const c10::InferenceMode inference;
    nn::WeightType weights = nn::WeightType::compute;
    bool parts = false;
    int gpus = 1;
    std::string name = "8b";
    std::vector<Run> runs;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (word == "--fp8-weights") {
            weights = nn::WeightType::e4m3;
        } else if (word == "--parts") {
            parts = true;
        } else if (word == "--gpus" && i + 1 < argc) {
            gpus = std::atoi(argv[++i]);
        } else if (word == "--model" && i + 1 < argc) {
            name = argv[++i];
        } else if (auto run = word.starts_with("--") ? std::nullopt : read_run(word)) {
            runs.push_back(*run);
        } else {
            std::fprintf(stderr,
                         "usage: worldplay_bench [--model 8b|wan-5b|wan-5b-small] [--gpus N] [--fp8-weights] [--parts] "
                         "[RUN...]\n");
            return 2;
        }
    }
    if (runs.empty() && !parts) runs.push_back(*read_run("bf16"));
    if (!test::open_cuda()) {
        std::fprintf(stderr, "worldplay_bench: there is no CUDA device\n");
        return 2;
    }
    at::globalContext().lazyInitDevice(at::kCUDA);
    int present = 0;
    check(cudaGetDeviceCount(&present));
    if (gpus < 1 || gpus > present || (gpus > 1 && name != "8b")) {
        std::fprintf(stderr, "worldplay_bench: --gpus: from 1 to the %d that there are, several for the 8b\n", present);
        return 2;
    }
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, 0));
    const double begin = now_ms();
    Bench bench(name == "8b" ? open_8b(weights, gpus) : open_wan_5b(weights, name == "wan-5b-small"));
    std::printf(
        "%s\n",
        json({{"device", properties.name}, {"model", name}, {"weights_made_in_ms", now_ms() - begin}}).dump().c_str());
    const auto print = [](const json& line) {
        std::printf("%s\n", line.dump().c_str());
        std::fflush(stdout);
    };
    for (Run& run : runs) {
        if (run.decoder.empty()) run.decoder = gpus > 1 ? "none" : "full";
        const json one = bench.run(run);
        print(one);
        if (gpus == 1) continue;
        const json several = bench.run(run, gpus);
        print(several);
        const auto dit_ms = [](const json& made) {
            return made.at("denoise_ms").get<double>() + made.at("context_ms").get<double>();
        };
        print({{"run", run.name},
               {"gpus", gpus},
               {"dit_ms", {dit_ms(one), dit_ms(several)}},
               {"ratio", dit_ms(one) / dit_ms(several)},
               {"exchange_share", several.at("exchange_ms").get<double>() / dit_ms(several)}});
    }
    if (parts) {
        json report;
        if (bench.model().dit) report["products"] = products_alone(bench.model());
        for (const auto type : {quant::AttentionType::bf16, quant::AttentionType::fp8}) {
            for (const std::int64_t slice : {40, 80, 160, 320}) {
                quant::CachePolicy policy;
                policy.attention = type;
                policy.slice_bytes = slice << 20;
                report[std::string("attention, ") + quant::attention_name(type)][std::to_string(slice) + " MiB"] =
                    attention_alone(bench.model(), policy);
            }
        }
        std::printf("%s\n", report.dump().c_str());
    }
    return 0;
}
#else
int main() {
    std::puts("worldplay_bench: built without CUDA");
    return 0;
}
#endif
