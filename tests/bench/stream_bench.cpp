// The 1.3B transformer at 480x832 on an NVIDIA GPU, random weights and text: chunks of three latents, four denoise
// passes and the context pass, nothing skipped, no decoder. Prints one JSON object:
//   clip_ms          (end of chunk 7 - end of chunk 1) / 6 of a 21-latent clip, after one clip that made every plan
//   plain            the same passes as plain torch calls (one linear, norm or product each, default attention, keys
//                    turned once when they are written) over the same number of latents, and the ratio
//   attention, gemm  what those parts take alone, at the lengths of the clip, in ms a chunk and TFLOP/s
//   rows             what lies between the products
//   host_ms          what the host needs to hand over a chunk; below clip_ms it is hidden
//   steady           with --chunks: median and p99 of chunks 20 and later with a window of --window latents
//   error            relative error of one pass (no history; behind one chunk) against float32 weights and arithmetic
//
//     stream_bench [--weights bf16|fp8] [--attention bf16|fp8] [--cache FORMAT] [--heads N] [--slice-mib N]
//                  [--chunks N] [--window N] [--text TOKENS] [--plain 0|1] [--error 0|1] [--parts 0|1]
#include "generator/rollout/rollout.hpp"
#include "generator/wan/dit_weights.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <deque>
#include <map>
#include <string>
#include <vector>

#if WANDER_CUDA
#include "tests/bench/figures.hpp"
#include "tests/bench/gpu_event.hpp"
#include "tests/support/cuda_runtime.hpp"

#include <c10/cuda/CUDACachingAllocator.h>
#include <cuda_runtime_api.h>

namespace {

using namespace wander;
using bench::Event;
using bench::mean_ms;
using bench::now_ms;
using nlohmann::json;

constexpr int kRows = 60, kCols = 104, kTokens = kRows * kCols / 4;
constexpr int kChunk = 3;
constexpr int kClipChunks = 7;
constexpr int kPasses = 5;
constexpr double kMiB = 1024.0 * 1024.0;

at::TensorOptions on_gpu(at::ScalarType type) { return at::TensorOptions().dtype(type).device(at::kCUDA); }

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

// The same values for a name, whatever else was drawn.
at::Tensor random_weight(const std::string& name, const std::vector<std::int64_t>& shape) {
    at::Generator generator = at::globalContext().defaultGenerator(at::Device(at::kCUDA, 0));
    generator.set_current_seed(fnv1a64(name));
    const at::Tensor r = at::randn(shape, on_gpu(at::kFloat));
    if (name.find("norm") != std::string::npos && name.ends_with("weight")) return r * 0.2 + 1;
    if (name.ends_with("bias")) return r * 0.1;
    if (name.ends_with("modulation")) return r * 0.3;
    return r / std::sqrt(static_cast<double>(r.numel() / shape[0]));
}

Result<at::Tensor> source(const std::string& name, const std::vector<std::int64_t>& shape) {
    return random_weight(name, shape);
}

struct Settings {
    nn::WeightType weights = nn::WeightType::compute;
    quant::CachePolicy policy;
    int chunks = 0;
    int window = 18; // and a sink of three
    int text = 120;
    bool plain = true, error = true, parts = true;
};

std::shared_ptr<WanDit> load(at::ScalarType compute, nn::WeightType weights, int text) {
    auto dit = WanDit::load(published(), source, at::Device(at::kCUDA, 0), compute, weights);
    TORCH_CHECK(dit, "stream_bench: ", dit ? "" : dit.error().message);
    dit->set_text(random_weight("text", {text, published().text_dim}));
    return std::make_shared<WanDit>(std::move(*dit));
}

quant::CacheShape cache_shape(int window) {
    const DitConfig c = published();
    return {c.layers, c.heads, c.head_dim, kTokens, kChunk, window > 0 ? kChunk : 0, window};
}

std::unique_ptr<quant::KvCache> open_cache(const Settings& settings, int window, at::ScalarType compute) {
    auto cache = quant::KvCache::create(cache_shape(window), settings.policy, at::Device(at::kCUDA, 0), compute);
    TORCH_CHECK(cache, "stream_bench: ", cache ? "" : cache.error().message);
    return std::move(*cache);
}

Rollout make_rollout(const std::shared_ptr<WanDit>& dit, const Settings& settings, int window) {
    Rollout::Config config;
    config.sampler = SamplerConfig::self_forcing(5, {1000, 750, 500, 250});
    config.rows = kRows;
    config.cols = kCols;
    config.draw_ahead = true;
    return {dit, open_cache(settings, window, at::kBFloat16), config, keyed_noise(1)};
}

ChunkInput three_latents() {
    ChunkInput input;
    input.latents = kChunk;
    return input;
}

// As the program does it: a chunk is begun when the one before it is done.
json measure_clip(Rollout& rollout) {
    json result;
    for (int round = 0; round < 2; ++round) {
        rollout.reset();
        (void)rollout.cache().take_times();
        std::deque<Event> ends; // of chunks
        std::vector<double> host;
        std::vector<double> denoise, context;
        for (int chunk = 0; chunk < kClipChunks; ++chunk) {
            const double begin = now_ms();
            rollout.generate(three_latents());
            host.push_back(now_ms() - begin);
            ends.emplace_back().record();
            const RolloutTimes times = rollout.last_times();
            denoise.push_back(times.denoise_ms);
            context.push_back(times.context_ms);
        }
        const double mean = ends.back().ms_since(ends.front()) / (kClipChunks - 1);
        result = {{"clip_ms", mean},       {"first_clip", round == 0},
                  {"denoise_ms", denoise}, {"context_ms", context},
                  {"host_ms", host},       {"expand_ms", rollout.cache().take_times().expand_ms / kClipChunks}};
    }
    result["engine"] = rollout.cache().attention_engine();
    result["scratch_mib"] = static_cast<double>(rollout.cache().ledger().scratch_bytes) / kMiB;
    return result;
}

json measure_steady(Rollout& rollout, int chunks) {
    rollout.reset();
    std::deque<Event> ends;
    std::vector<double> ms;
    for (int chunk = 0; chunk < chunks; ++chunk) {
        rollout.generate(three_latents());
        ends.emplace_back().record();
        (void)rollout.last_times();
        (void)rollout.cache().take_times();
        if (chunk >= 20) ms.push_back(ends.back().ms_since(ends[static_cast<std::size_t>(chunk) - 1]));
    }
    std::sort(ms.begin(), ms.end());
    const double p50 = ms[ms.size() / 2], p99 = ms[ms.size() * 99 / 100];
    return {{"chunks", ms.size()}, {"p50_ms", p50}, {"p99_ms", p99}, {"p99_of_p50", p99 / p50}};
}

// Products of one pass without attention, nothing in between; TFLOP of self-forcing.md 11 without cross attention's
// own.
json measure_gemm(const WanDit& dit) {
    const auto& w = dit.weights();
    const at::Tensor x = at::randn({kChunk * kTokens, w.config.dim}, on_gpu(at::kBFloat16));
    const at::Tensor h = at::randn({kChunk * kTokens, w.config.ffn}, on_gpu(at::kBFloat16));
    const auto as_input = [](const nn::Linear& layer, const at::Tensor& rows) {
        return layer.input_type() == at::kFloat8_e4m3fn ? nn::quantise_rows(rows, false) : nn::Activation{rows, {}};
    };
    const nn::Activation qkv_in = as_input(w.blocks[0].qkv, x), ffn_in = as_input(w.blocks[0].ffn_in, x),
                         ffn_mid = as_input(w.blocks[0].ffn_out, h);
    const double ms = mean_ms(5, [&] {
        for (const DitBlock& block : w.blocks) {
            block.qkv(qkv_in);
            block.out.addend({x, {}});
            block.cross_q(x);
            block.cross_out.addend({x, {}});
            block.ffn_in.with_gelu(ffn_in, block.ffn_out);
            block.ffn_out.addend(ffn_mid);
        }
    });
    const double tflop = 30 * (88.33 + 44.17 + 257.64) / 1e3;
    return {{"ms_a_chunk", kPasses * ms}, {"tflops", tflop / ms * 1e3}};
}

// What lies between the products: norms with their sums, RMS of queries and keys, attention to the text.
json measure_rows(const WanDit& dit) {
    const auto& w = dit.weights();
    const std::int64_t dim = w.config.dim;
    at::Tensor x = at::randn({kChunk * kTokens, dim}, on_gpu(at::kFloat));
    const at::Tensor y = at::randn({kChunk * kTokens, dim}, on_gpu(at::kBFloat16));
    const at::Tensor qkv = at::randn({kChunk * kTokens, 3 * dim}, on_gpu(at::kBFloat16));
    const at::Tensor gate = at::zeros({1, dim}, on_gpu(at::kFloat)), scale = at::ones_like(gate);
    const DitBlock& block = w.blocks[0];
    const double norms = mean_ms(50, [&] {
        nn::add_gated_norm(x, y, gate, gate, scale, w.config.eps, block.ffn_in.input_type());
        nn::add_gated_norm(x, y, gate, gate, scale, w.config.eps, block.cross_q.input_type());
        nn::add_gated_norm(x, y, gate, gate, scale, w.config.eps, block.qkv.input_type());
    });
    const double rms = mean_ms(50, [&] {
        nn::rms_norm_both({qkv.narrow(1, 0, dim), qkv.narrow(1, dim, dim)}, block.norm_q, block.norm_k, w.config.eps);
    });
    const double text = mean_ms(50, [&] { nn::text_attention(y, block.cross_norm_q, w.text[0], w.config.eps); });
    const double all = kPasses * w.config.layers;
    return {{"norm_ms_a_chunk", all * norms}, {"rms_ms_a_chunk", all * rms}, {"text_ms_a_chunk", all * text}};
}

quant::ReadView view_of(const WanDit& dit, const quant::KvCache& cache, std::int64_t first) {
    quant::ReadView view;
    view.first_latent = first;
    view.latents = kChunk;
    for (const std::int64_t latent : cache.visible_history(first))
        view.history_positions.push_back(static_cast<float>(latent));
    for (int n = 0; n < kChunk; ++n) view.new_positions.push_back(static_cast<float>(first + n));
    dit.fill_rope(view, kRows / 2, kCols / 2);
    return view;
}

// One layer's attention through the cache at every length of the clip but the first; norms, rotations and all.
json measure_attention(const WanDit& dit, const Settings& settings) {
    quant::CacheShape shape = cache_shape(0);
    shape.layers = 1;
    auto cache = quant::KvCache::create(shape, settings.policy, at::Device(at::kCUDA, 0), at::kBFloat16);
    TORCH_CHECK(cache, "stream_bench: no cache");
    const at::Tensor rows = at::randn({kChunk * kTokens, 3, shape.heads, shape.head_dim}, on_gpu(at::kBFloat16));
    json lengths = json::object();
    double total_ms = 0, total_tflop = 0;
    for (int first = 0; first < kClipChunks * kChunk; first += kChunk) {
        (*cache)->begin_chunk(view_of(dit, **cache, first));
        const double ms =
            mean_ms(20, [&] { (*cache)->attend(0, rows.select(1, 0), rows.select(1, 1), rows.select(1, 2)); });
        const double tflop = 44.86e-3 * (first + kChunk);
        lengths[std::to_string(first + kChunk)] = {{"ms", ms}, {"tflops", tflop / ms * 1e3}};
        if (first > 0) {
            total_ms += ms;
            total_tflop += tflop;
        }
        (*cache)->write(0, rows.select(1, 1), rows.select(1, 2));
        (*cache)->commit();
    }
    return {{"ms_a_chunk", total_ms / (kClipChunks - 1) * kPasses * 30},
            {"tflops", total_tflop / total_ms * 1e3},
            {"by_latents", lengths}};
}

// The network as one would write it with torch's own calls, in bfloat16. Self attention over keys that are turned
// already; `history` latents of random ones.
class Plain {
public:
    Plain() {
        const auto add = [&](const std::string& name, const std::vector<std::int64_t>& shape) {
            weights_[name] = random_weight(name, shape).to(at::kBFloat16);
        };
        for (const auto& [name, shape] : c_.tensor_shapes()) add(name, shape);
        for (int layer = 0; layer < c_.layers; ++layer) {
            text_keys_.push_back(at::randn({1, c_.heads, c_.text_len, c_.head_dim}, on_gpu(at::kBFloat16)));
            keys_.push_back(
                at::randn({1, c_.heads, kClipChunks * kChunk * kTokens, c_.head_dim}, on_gpu(at::kBFloat16)));
        }
        turn_ = at::randn({kChunk * kTokens, 1, c_.head_dim / 2}, on_gpu(at::kFloat));
    }

    // Mean over the lengths of chunks 2 to 7, all five passes alike.
    double chunk_ms() {
        double total = 0;
        const at::Tensor x = at::randn({kChunk * kTokens, c_.dim}, on_gpu(at::kBFloat16));
        const at::Tensor e = at::randn({6, 1, c_.dim}, on_gpu(at::kBFloat16));
        for (int latents = 2 * kChunk; latents <= kClipChunks * kChunk; latents += kChunk)
            total += mean_ms(2, [&] { pass(x, e, latents); });
        return total / (kClipChunks - 1) * kPasses;
    }

private:
    const at::Tensor& w(const std::string& name) const { return weights_.at(name); }
    at::Tensor linear(const std::string& name, const at::Tensor& x) const {
        return at::linear(x, w(name + ".weight"), w(name + ".bias"));
    }
    at::Tensor norm(const at::Tensor& x) const { return at::layer_norm(x, {c_.dim}, {}, {}, c_.eps); }
    at::Tensor rms(const std::string& name, const at::Tensor& x) const {
        const at::Tensor wide = x.to(at::kFloat);
        return (wide * at::rsqrt(wide.square().mean(-1, true) + c_.eps)).to(at::kBFloat16) * w(name);
    }
    at::Tensor heads(const at::Tensor& x) const { return x.view({1, -1, c_.heads, c_.head_dim}).transpose(1, 2); }
    at::Tensor rope(const at::Tensor& x) const {
        const at::Tensor pairs = x.to(at::kFloat).view({-1, c_.heads, c_.head_dim / 2, 2});
        const at::Tensor a = pairs.select(-1, 0), b = pairs.select(-1, 1), c = at::cos(turn_), s = at::sin(turn_);
        return at::stack({a * c - b * s, a * s + b * c}, -1).view({-1, c_.dim}).to(at::kBFloat16);
    }
    void pass(at::Tensor x, const at::Tensor& e, int latents) {
        for (int layer = 0; layer < c_.layers; ++layer) {
            const std::string b = "blocks." + std::to_string(layer) + ".", s = b + "self_attn.", t = b + "cross_attn.";
            const at::Tensor m = w(b + "modulation").transpose(0, 1) + e;
            at::Tensor h = norm(x) * (1 + m[1]) + m[0];
            const at::Tensor q = rope(rms(s + "norm_q.weight", linear(s + "q", h)));
            const at::Tensor k = rope(rms(s + "norm_k.weight", linear(s + "k", h)));
            const at::Tensor v = linear(s + "v", h);
            const at::Tensor seen = keys_[static_cast<std::size_t>(layer)].narrow(2, 0, latents * kTokens);
            seen.narrow(2, (latents - kChunk) * kTokens, kChunk * kTokens).copy_(heads(k));
            at::Tensor y = at::scaled_dot_product_attention(heads(q), seen, seen);
            x = x + linear(s + "o", y.transpose(1, 2).reshape({-1, c_.dim})) * m[2];
            h = norm(x) * w(b + "norm3.weight") + w(b + "norm3.bias");
            const at::Tensor& text = text_keys_[static_cast<std::size_t>(layer)];
            y = at::scaled_dot_product_attention(heads(rms(t + "norm_q.weight", linear(t + "q", h))), text, text);
            x = x + linear(t + "o", y.transpose(1, 2).reshape({-1, c_.dim}));
            h = norm(x) * (1 + m[4]) + m[3];
            x = x + linear(b + "ffn.2", at::gelu(linear(b + "ffn.0", h), "tanh")) * m[5];
            (void)v;
        }
    }

    DitConfig c_ = published();
    std::map<std::string, at::Tensor> weights_;
    std::vector<at::Tensor> text_keys_, keys_; // values are the keys: the time is the same
    at::Tensor turn_;
};

// Velocities of one pass without history, and of one behind a chunk.
std::vector<at::Tensor> two_passes(const WanDit& dit, const Settings& settings, at::ScalarType compute) {
    Settings plain = settings;
    if (compute == at::kFloat) plain.policy = {};
    const auto cache = open_cache(plain, 0, compute);
    std::vector<at::Tensor> out;
    for (int chunk = 0; chunk < 2; ++chunk) {
        cache->begin_chunk(view_of(dit, *cache, kChunk * chunk));
        DitPass pass;
        pass.latents = gaussian_tensor(static_cast<std::uint64_t>(chunk), {kChunk, 16, kRows, kCols});
        pass.timesteps = {937.5, 937.5, 937.5};
        out.push_back(dit.forward(pass, *cache));
        pass.timesteps = {0, 0, 0};
        pass.context = true;
        dit.forward(pass, *cache);
        cache->commit();
    }
    return out;
}

json measure_error(const WanDit& dit, const Settings& settings) {
    const auto got = two_passes(dit, settings, at::kBFloat16);
    const auto exact = two_passes(*load(at::kFloat, nn::WeightType::compute, settings.text), settings, at::kFloat);
    const auto relative = [](const at::Tensor& a, const at::Tensor& b) {
        return ((a - b).norm() / b.norm()).item().toDouble();
    };
    return {{"alone", relative(got[0], exact[0])}, {"behind_a_chunk", relative(got[1], exact[1])}};
}

std::int64_t allocated_peak() {
    const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(0);
    return stats.allocated_bytes[static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE)].peak;
}

Settings read_settings(int argc, char** argv) {
    Settings settings;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string name = argv[i];
        const std::string value = argv[i + 1];
        if (name == "--weights" && value == "fp8") settings.weights = nn::WeightType::e4m3;
        if (name == "--attention" && value == "fp8") settings.policy.attention = quant::AttentionType::fp8;
        if (name == "--cache") settings.policy.format = value;
        if (name == "--heads") settings.policy.heads_together = std::stoi(value);
        if (name == "--slice-mib") settings.policy.slice_bytes = std::stoll(value) << 20;
        if (name == "--chunks") settings.chunks = std::stoi(value);
        if (name == "--window") settings.window = std::stoi(value);
        if (name == "--text") settings.text = std::stoi(value);
        if (name == "--plain") settings.plain = value == "1";
        if (name == "--error") settings.error = value == "1";
        if (name == "--parts") settings.parts = value == "1";
    }
    return settings;
}

} // namespace

int main(int argc, char** argv) {
    const c10::InferenceMode inference;
    const Settings settings = read_settings(argc, argv);
    if (!test::open_cuda()) {
        std::fprintf(stderr, "stream_bench: there is no CUDA device\n");
        return 2;
    }
    at::globalContext().lazyInitDevice(at::kCUDA);
    cudaDeviceProp properties{};
    cudaGetDeviceProperties(&properties, 0);
    json report = {{"device", properties.name}};
    const auto dit = load(at::kBFloat16, settings.weights, settings.text);
    {
        Rollout rollout = make_rollout(dit, settings, 0);
        report["clip"] = measure_clip(rollout);
        report["allocator_peak_mib"] = static_cast<double>(allocated_peak()) / kMiB;
    }
    if (settings.parts) {
        report["gemm"] = measure_gemm(*dit);
        report["rows"] = measure_rows(*dit);
        report["attention"] = measure_attention(*dit, settings);
    }
    if (settings.chunks > 20) {
        Rollout rollout = make_rollout(dit, settings, settings.window);
        report["steady"] = measure_steady(rollout, settings.chunks);
    }
    if (settings.error) report["error"] = measure_error(*dit, settings);
    if (settings.plain) {
        c10::cuda::CUDACachingAllocator::emptyCache();
        const double ms = Plain().chunk_ms();
        report["plain"] = {{"chunk_ms", ms}, {"ratio", ms / report["clip"]["clip_ms"].get<double>()}};
    }
    std::printf("%s\n", report.dump(1).c_str());
    // Anything but the fast kernels would make these figures mean nothing.
    const std::string engine = report["clip"]["engine"];
    const bool honest = engine.find("Hopper") != std::string::npos || engine.find("eng") != std::string::npos;
    if (!honest) std::fprintf(stderr, "stream_bench: attention ran neither in Hopper's own kernel nor in cuDNN\n");
    return honest ? 0 : 1;
}
#else
int main() {
    std::puts("stream_bench: built without CUDA");
    return 0;
}
#endif
