// attend() of one whole pass at the embedded world's shape: 6 layers, 5 heads x 64, 84 tokens, 1 + 24 latents of
// history, both branches, one thread. Prints one JSON object a line: median wall and processor milliseconds of a pass,
// of its expansion, and GFLOP/s.
//
//     attend_bench [FORMAT...]      default: bf16 int2
#include "quant/kv_cache.hpp"
#include "tests/bench/figures.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

namespace {

using wander::bench::median;
using wander::bench::now_ms;
using wander::quant::CachePolicy;
using wander::quant::CacheShape;
using wander::quant::KvCache;
using wander::quant::ReadView;

constexpr CacheShape kShape{.layers = 6,
                            .heads = 5,
                            .head_dim = 64,
                            .tokens_per_latent = 84,
                            .page_latents = 4,
                            .sink_latents = 1,
                            .window_latents = 24};
constexpr int kPasses = 15;

at::Tensor rows(at::ScalarType compute) {
    return (at::randn({kShape.tokens_per_latent, kShape.heads, kShape.head_dim}) +
            2 * at::randn({1, kShape.heads, kShape.head_dim}))
        .to(compute);
}

ReadView view_of(const KvCache& cache, std::int64_t first_latent) {
    ReadView view;
    view.first_latent = first_latent;
    const std::size_t history = cache.visible_history(first_latent).size();
    for (std::size_t n = 0; n < history; ++n) {
        view.history_positions.push_back(static_cast<float>(n));
    }
    view.new_positions = {static_cast<float>(history)};
    view.time_frequencies = at::rand({12}, at::kDouble);
    view.space_angles = at::rand({kShape.tokens_per_latent, 20}, at::kDouble);
    view.prope = true;
    view.history_inverse = at::eye(4).repeat({static_cast<std::int64_t>(history), 1, 1});
    view.new_projection = at::eye(4).unsqueeze(0);
    view.new_inverse = at::eye(4).unsqueeze(0);
    return view;
}

double thread_ms() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) * 1e-6;
}

void measure(const std::string& format, at::ScalarType compute) {
    CachePolicy policy;
    policy.format = format;
    auto made = KvCache::create(kShape, policy, at::kCPU, compute);
    if (!made) {
        std::printf("{\"format\": \"%s\", \"error\": \"%s\"}\n", format.c_str(), made.error().message.c_str());
        return;
    }
    KvCache& cache = **made;
    constexpr int kLatents = 29;
    for (int latent = 0; latent < kLatents; ++latent) {
        cache.begin_chunk(view_of(cache, latent));
        for (int layer = 0; layer < kShape.layers; ++layer) {
            cache.write(layer, rows(compute), rows(compute));
        }
        cache.commit();
    }
    const double encode_ms = cache.take_times().encode_ms;
    cache.begin_chunk(view_of(cache, kLatents));
    const at::Tensor q = rows(compute);
    const at::Tensor k = rows(compute);
    const at::Tensor v = rows(compute);
    std::vector<double> pass_ms;
    std::vector<double> expand_ms;
    std::vector<double> processor_ms;
    for (int pass = 0; pass < kPasses; ++pass) {
        const double begin = now_ms();
        const double processor_begin = thread_ms();
        for (int layer = 0; layer < kShape.layers; ++layer) {
            cache.attend(layer, q, k, v);
        }
        pass_ms.push_back(now_ms() - begin);
        processor_ms.push_back(thread_ms() - processor_begin);
        expand_ms.push_back(cache.take_times().expand_ms);
    }
    const double tokens = 26.0 * kShape.tokens_per_latent;
    const double gflop =
        2.0 * kShape.layers * kShape.heads * kShape.tokens_per_latent * tokens * kShape.head_dim * 4.0 / 1e9;
    std::printf(
        "{\"compute\": \"%s\", \"format\": \"%s\", \"pass_ms\": %.2f, \"best_pass_ms\": %.2f, \"processor_ms\": %.2f, "
        "\"expand_ms\": %.2f, "
        "\"gflops\": %.1f, \"encode_ms_all\": %.2f, \"ratio\": %.2f}\n",
        c10::toString(compute), format.c_str(), median(pass_ms), *std::min_element(pass_ms.begin(), pass_ms.end()),
        median(processor_ms), median(expand_ms), gflop / median(pass_ms) * 1e3, encode_ms, cache.ledger().ratio());
}

} // namespace

int main(int argc, char** argv) {
    const c10::InferenceMode inference;
    at::set_num_threads(1);
    std::vector<std::string> formats(argv + 1, argv + argc);
    if (formats.empty()) {
        formats = {"bf16", "int2"};
    }
    for (const at::ScalarType compute : {at::kFloat, at::kBFloat16}) {
        for (const std::string& format : formats) {
            measure(format, compute);
        }
    }
}
