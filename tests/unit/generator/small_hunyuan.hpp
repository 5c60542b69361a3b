#pragma once
// The 8B transformer's form with 64 channels and random weights, in float64 on the CPU.

#include "generator/hunyuan/hunyuan_dit.hpp"
#include "generator/hunyuan/hunyuan_text_side.hpp"
#include "generator/plain/hash.hpp"
#include "generator/rollout/noise.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace wander::test {

inline constexpr int kRows = 2, kCols = 3, kTokens = kRows * kCols;

inline HunyuanConfig small_hunyuan() {
    HunyuanConfig config;
    config.dim = 64;
    config.layers = 3;
    config.heads = 2;
    config.head_dim = 32;
    config.mlp = 96;
    config.channels = 4;
    config.rope_time_channels = 8;
    config.rope_row_channels = 12;
    config.rope_col_channels = 12;
    config.text_dim = 12;
    config.vision_dim = 10;
    config.glyph_dim = 6;
    config.glyph_hidden = 14;
    return config;
}

inline Result<at::Tensor> random_hunyuan_weight(const std::string& name, const std::vector<std::int64_t>& shape) {
    const at::Tensor r = gaussian_tensor(fnv1a64(name), shape).to(at::kDouble);
    if (name.find("norm") != std::string::npos && name.ends_with("weight")) return at::Tensor(r * 0.2 + 1);
    if (name.ends_with("bias")) return at::Tensor(r * 0.1);
    return at::Tensor(r / std::sqrt(static_cast<double>(r.numel() / shape[0])));
}

template <class T>
T good(Result<T> result) {
    EXPECT_TRUE(result) << (result ? "" : result.error().message);
    return std::move(*result);
}

inline std::unique_ptr<quant::KvCache> small_hunyuan_cache(int sink = 0, int window = 0,
                                                           const quant::CachePolicy& policy = {},
                                                           at::ScalarType compute = at::kDouble) {
    const HunyuanConfig config = small_hunyuan();
    const quant::CacheShape shape{config.layers, config.heads, config.head_dim, kTokens, 4, sink, window};
    return good(quant::KvCache::create(shape, policy, at::kCPU, compute));
}

} // namespace wander::test
