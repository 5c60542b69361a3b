#pragma once
// Parts of the SigLIP tower. Room-internal, and for tests of the parts.

#include "generator/text/weight_feed.hpp"
#include "generator/vision/siglip.hpp"

#include <c10/core/Stream.h>

#include <optional>

namespace wander {

struct SiglipNorm { // [1, dim] wide
    at::Tensor weight, bias;
};
struct SiglipLayer { // the small tensors, on the device; biases in the compute type
    SiglipNorm norm1, norm2;
    at::Tensor qkv_bias, out_bias, fc1_bias, fc2_bias;
};

struct SiglipVision::Weights {
    SiglipConfig config;
    at::Device device = at::kCPU;
    at::ScalarType compute = at::kFloat;
    at::ScalarType wide = at::kFloat; // residual stream and norms
    at::Tensor patch_weight;          // [dim, 3 * patch * patch] compute type
    at::Tensor patch_bias;            // [dim] compute type
    at::Tensor positions;             // [patches, dim] wide
    std::vector<SiglipLayer> layers;
    SiglipNorm last_norm;
    std::unique_ptr<WeightFeed> feed;
    std::optional<c10::Stream> stream; // CUDA

    // [patches, dim] wide, on the device.
    at::Tensor embed(const at::Tensor& pixels) const;
    at::Tensor norm(const at::Tensor& x, const SiglipNorm& norm, at::ScalarType out) const;
    // Adds one layer to x [patches, dim] wide, in place.
    void run_layer(int layer, at::Tensor& x, WeightFeed::Pass& pass) const;
};

} // namespace wander
