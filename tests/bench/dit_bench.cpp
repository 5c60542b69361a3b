// The embedded world's network on one thread, random weights: a denoise pass with little history (so that attention is
// small), a context pass, and the decoder. Prints one JSON object a line, median and best wall and processor
// milliseconds.
//
//     dit_bench [fp32|bf16...]      default: both
#include "generator/rollout/rollout.hpp"
#include "generator/wan/vae.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

namespace {

using namespace wander;

constexpr int kRows = 14, kCols = 24, kRuns = 25;

at::Tensor random_weight(const std::string& name, const std::vector<std::int64_t>& shape) {
    const at::Tensor r = gaussian_tensor(fnv1a64(name), shape);
    if (name.find("norm") != std::string::npos || name.ends_with("gamma")) return r * 0.2 + 1;
    return r / std::sqrt(static_cast<double>(r.numel() / shape[0]));
}

Result<at::Tensor> source(const std::string& name, const std::vector<std::int64_t>& shape) {
    return random_weight(name, shape);
}

DitConfig world_config() {
    DitConfig config;
    config.dim = 320;
    config.layers = 6;
    config.heads = 5;
    config.head_dim = 64;
    config.ffn = 1280;
    config.rope_theta = 256;
    config.rope_time_channels = 24;
    config.rope_row_channels = 20;
    config.rope_col_channels = 20;
    config.action_label = true;
    config.prope = true;
    return config;
}

double thread_ms() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) * 1e-6;
}

template <typename Work>
void measure(const char* what, const std::string& precision, double gflop, Work work) {
    std::vector<double> wall, own;
    for (int run = 0; run < kRuns; ++run) {
        const auto begin = std::chrono::steady_clock::now();
        const double begin_own = thread_ms();
        work();
        own.push_back(thread_ms() - begin_own);
        wall.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
    }
    std::sort(wall.begin(), wall.end());
    std::sort(own.begin(), own.end());
    std::printf(
        "{\"part\": \"%s\", \"precision\": \"%s\", \"wall_ms\": %.2f, \"wall_best_ms\": %.2f, \"cpu_ms\": %.2f, "
        "\"cpu_best_ms\": %.2f, \"gflops\": %.1f}\n",
        what, precision.c_str(), wall[kRuns / 2], wall[0], own[kRuns / 2], own[0], gflop / own[kRuns / 2] * 1e3);
}

void bench_network(const std::string& precision, at::ScalarType compute) {
    const DitConfig config = world_config();
    const WanDit dit = *WanDit::load(config, source, at::kCPU, compute);
    const auto cache = std::move(
        *quant::KvCache::create({config.layers, config.heads, config.head_dim, 84, 4, 1, 24}, {}, at::kCPU, compute));
    quant::ReadView view;
    view.new_positions = {0};
    view.prope = true;
    view.history_inverse = at::empty({0, 4, 4});
    view.new_projection = at::eye(4).unsqueeze(0);
    view.new_inverse = at::eye(4).unsqueeze(0);
    dit.fill_rope(view, kRows / 2, kCols / 2);
    cache->begin_chunk(view);
    DitPass pass;
    pass.latents = gaussian_tensor(1, {1, 16, kRows, kCols});
    pass.timesteps = {1000};
    pass.labels = {9};
    measure("pass without history", precision, 1.34 + 0.11, [&] { dit.forward(pass, *cache); });
    pass.context = true;
    measure("context pass without history", precision, 1.1 + 0.09, [&] { dit.forward(pass, *cache); });
}

void bench_decoder(const std::string& precision, at::ScalarType compute) {
    VaeConfig config;
    config.layout = VaeConfig::Layout::embedded;
    config.encoder_channels = {48, 96, 128};
    config.decoder_channels = {48, 64, 96};
    config.patch = 2;
    config.latent_mean.assign(16, 0);
    config.latent_std.assign(16, 1);
    const WanVae vae = *WanVae::load(config, source, at::kCPU, compute, false, true);
    auto stream = vae.decode_stream();
    const at::Tensor latent = gaussian_tensor(2, {1, 16, kRows, kCols});
    stream.decode(latent);
    measure("decode of a latent", precision, 8.5, [&] { stream.decode(latent); });
}

} // namespace

int main(int argc, char** argv) {
    const c10::InferenceMode inference;
    at::set_num_threads(1);
    std::vector<std::string> precisions(argv + 1, argv + argc);
    if (precisions.empty()) precisions = {"fp32", "bf16"};
    for (const std::string& precision : precisions) {
        const auto compute = precision == "bf16" ? at::kBFloat16 : at::kFloat;
        bench_network(precision, compute);
        bench_decoder(precision, compute);
    }
}
