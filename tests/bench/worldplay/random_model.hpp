#pragma once
// HY-WorldPlay's networks with random weights of the published sizes, made on the GPU: no folder is needed.

#include "generator/hunyuan/hunyuan_dit.hpp"
#include "generator/rollout/worldplay_rollout.hpp"
#include "generator/split/head_split.hpp"
#include "quant/kv_cache.hpp"

#include <ATen/ATen.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace wander::bench {

inline constexpr int kText = 850; // tokens in front of the 8B's history

inline at::Device gpu(int index) { return {at::kCUDA, static_cast<c10::DeviceIndex>(index)}; }

// The same values for a name, whatever else was drawn, on every GPU.
at::Tensor random_values(const std::string& name, const std::vector<std::int64_t>& shape, at::Device device = gpu(0));

// On the first GPU; a spread that suits the tensor's name.
Result<at::Tensor> random_weight(const std::string& name, const std::vector<std::int64_t>& shape);

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

// With several GPUs its heads are split over them as well.
Model open_8b(nn::WeightType weights, int gpus);
Model open_wan_5b(nn::WeightType weights, bool small);

// Throws the message of a failure.
template <class T>
T unwrap(Result<T> result) {
    TORCH_CHECK(result, "worldplay_bench: ", result ? "" : result.error().message);
    return std::move(*result);
}

} // namespace wander::bench
