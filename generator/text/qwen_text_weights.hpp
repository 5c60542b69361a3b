#pragma once
// Parts of the Qwen text encoder. Room-internal, and for tests of the parts.

#include "generator/text/qwen_text.hpp"
#include "generator/text/weight_feed.hpp"

#include <c10/core/Stream.h>

#include <optional>

namespace wander {

struct QwenTextLayer {   // the small tensors, on the device
    at::Tensor norm1;    // wide type
    at::Tensor norm2;    // wide type
    at::Tensor qkv_bias; // [(heads + 2 kv_heads) head_dim], compute type
};

struct QwenTextEncoder::Weights {
    QwenTextConfig config;
    at::Device device = at::kCPU;
    at::ScalarType compute = at::kFloat;
    at::ScalarType wide = at::kFloat; // residual stream, norms and rotation
    at::Tensor embedding;             // [vocab, dim]: resident on the device, streamed as the source has it
    std::vector<QwenTextLayer> layers;
    std::unique_ptr<WeightFeed> feed;
    std::optional<c10::Stream> stream; // CUDA

    struct Rotation { // [L, 1, head_dim / 2] wide, of positions 0, 1, 2, ...
        at::Tensor cos, sin;
    };
    struct Heads { // [heads or kv_heads, L, head_dim] compute type; q and k rotated
        at::Tensor q, k, v;
    };

    // [L, dim] wide, on the device.
    at::Tensor embed(const std::vector<int>& ids) const;
    Rotation rotation(std::int64_t tokens) const;
    // x [L, dim] wide; matrix: of q, k and v, one below the other.
    Heads project(int layer, const at::Tensor& x, const at::Tensor& matrix, const Rotation& rotation) const;
    // [L, heads * head_dim]
    at::Tensor attend(const Heads& heads) const;
    // Adds one layer to x [L, dim] wide, in place.
    void run_layer(int layer, at::Tensor& x, const Rotation& rotation, WeightFeed::Pass& pass) const;
};

} // namespace wander
