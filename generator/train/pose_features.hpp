#pragma once
// What every token of a latent knows of where it is, for a batch of cameras and with gradients into the maps.
//
// Batched twin of PoseEmbedding::features (tiny-world.md 4): directions, distances and places on the torus are computed
// in float64 on the device, so that a walk far away from the origin, or turned many times, loses nothing; the maps are
// read by grid_sample. About sixty small launches a call, whatever the batch. Immutable; any thread.

#include "generator/train/clip.hpp"
#include "generator/wan/dit.hpp"

#include <ATen/core/Tensor.h>

namespace wander::train {

class PoseFeatures {
public:
    PoseFeatures() = default;
    PoseFeatures(const DitConfig& config, const LatentGeometry& geometry, at::Device device);

    // Numbers of a token: those of PoseEmbedding (690 for the embedded world), then zeros up to a multiple of 8, which
    // matrix products want.
    std::int64_t count() const { return count_; }
    std::int64_t padded_count() const { return (count_ + 7) / 8 * 8; }

    // fine, coarse: [worlds, channels, n, n] (z, x); cameras [B, N, 4]; worlds [B] int64. Returns [B, N, T,
    // padded_count()] of type `out`. Gradients reach the maps.
    at::Tensor operator()(const at::Tensor& fine, const at::Tensor& coarse, const at::Tensor& cameras,
                          const at::Tensor& worlds, at::ScalarType out) const;

private:
    struct Rays;
    Rays rays_of(const at::Tensor& cameras) const;

    std::int64_t count_ = 0;
    double period_ = 0;
    // float64, on the device.
    at::Tensor u_, v_; // [T, 3]: the token's centre, then a quarter token less and more; of columns and rows
    at::Tensor azimuth_orders_, elevation_orders_, position_steps_;
    at::Tensor fine_distances_, coarse_distances_;
};

} // namespace wander::train
