#pragma once
// Parts of the umT5 encoder. Room-internal, and for tests of the parts.

#include "generator/text/umt5_encoder.hpp"
#include "generator/text/weight_feed.hpp"

#include <c10/core/Stream.h>

#include <optional>

namespace wander {

struct Umt5Layer { // the small tensors; wide type, on the device
    at::Tensor norm1;
    at::Tensor norm2;
    at::Tensor bias_table; // [buckets, heads]; with shared_bias that of layer 0
};

struct Umt5Encoder::Weights {
    Umt5Config config;
    at::Device device = at::kCPU;
    at::ScalarType compute = at::kFloat;
    at::ScalarType wide = at::kFloat; // residual stream and norms
    at::Tensor embedding;             // [vocab, dim]: resident on the device, streamed as the source has it
    at::Tensor final_norm;
    std::vector<Umt5Layer> layers;
    std::unique_ptr<WeightFeed> feed;
    std::optional<c10::Stream> stream; // CUDA

    // [L, dim] wide, on the device.
    at::Tensor embed(const std::vector<int>& ids) const;
    // [heads, L, L] compute type, rows are queries.
    at::Tensor bias(int layer, std::int64_t tokens) const;
    // Adds one layer to x [L, dim] wide, in place.
    void run_layer(int layer, at::Tensor& x, WeightFeed::Pass& pass) const;
    at::Tensor attend(int layer, const at::Tensor& qkv) const;
};

} // namespace wander
