#pragma once
// A transformer of the published layout with 96 channels and random weights, in float64 on the CPU.

#include "generator/rollout/noise.hpp"
#include "generator/wan/dit.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace wander::test {

inline constexpr int kRows = 4, kCols = 6; // of a latent: 2 x 3 tokens
inline constexpr int kTokens = 6;

inline DitConfig small_config() {
    DitConfig config;
    config.dim = 96;
    config.layers = 3;
    config.heads = 2;
    config.head_dim = 48;
    config.ffn = 128;
    config.rope_time_channels = 16;
    config.rope_row_channels = 16;
    config.rope_col_channels = 16;
    config.text_dim = 20;
    config.text_len = 7;
    return config;
}

inline at::Tensor random_weight(const std::string& name, const std::vector<std::int64_t>& shape) {
    const at::Tensor r = gaussian_tensor(fnv1a64(name), shape).to(at::kDouble);
    if (name.find("norm") != std::string::npos && name.ends_with("weight")) return r * 0.2 + 1;
    if (name.ends_with("bias")) return r * 0.1;
    if (name.ends_with("modulation")) return r * 0.3;
    return r / std::sqrt(static_cast<double>(r.numel() / shape[0]));
}

inline WanDit small_dit(const DitConfig& config) {
    auto dit = WanDit::load(
        config,
        [](const std::string& name, const auto& shape) -> Result<at::Tensor> { return random_weight(name, shape); },
        at::kCPU, at::kDouble);
    EXPECT_TRUE(dit);
    if (config.text_dim > 0) dit->set_text(gaussian_tensor(1, {4, config.text_dim}));
    return std::move(*dit);
}

inline std::unique_ptr<quant::KvCache> cache_for(const DitConfig& config, int page, int sink, int window) {
    quant::CacheShape shape{config.layers, config.heads, config.head_dim, kTokens, page, sink, window};
    auto cache = quant::KvCache::create(shape, {}, at::kCPU, at::kDouble);
    EXPECT_TRUE(cache);
    return std::move(*cache);
}

} // namespace wander::test
