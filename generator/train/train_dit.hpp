#pragma once
// The embedded world's transformer in batches and with gradients: WanDit's mathematics for training clips.
//
// A twin of WanDit::forward and PoseEmbedding over whole clips instead of chunks and a cache; a test holds the two
// together. Matrices are cast to the compute type once a call (bfloat16 on a GPU), the residual stream, norms, camera
// matrices, time path, patches and head stay float32 (float64 when computing in that). Not thread safe.

#include "generator/train/clip.hpp"
#include "generator/train/dit_parts.hpp"
#include "generator/train/parameters.hpp"
#include "generator/wan/dit.hpp"

namespace wander::train {

class TrainDit {
public:
    // `parameters` has the names of config.tensor_shapes() and must outlive this; it is read anew in every call. The
    // configuration is one with pose, map, label and PRoPE, without text. compute: kFloat, kBFloat16 or kDouble.
    TrainDit(const DitConfig& config, const LatentGeometry& geometry, Parameters& parameters, at::ScalarType compute);

    const DitConfig& config() const { return config_; }
    const LatentGeometry& geometry() const { return geometry_; }
    at::ScalarType compute() const { return compute_; }
    Parameters& parameters() { return *parameters_; }
    const Parameters& parameters() const { return *parameters_; }

    // Velocity of the noisy latents, [B, L, 16, h, w] float32 (float64). Differentiable in grad mode.
    at::Tensor velocity(const Clip& clip) const;

private:
    const RopeTable& rope(std::int64_t latents) const;

    DitConfig config_;
    LatentGeometry geometry_;
    Parameters* parameters_;
    at::ScalarType compute_;
    PoseFeatures features_;
    mutable RopeTable rope_; // of the clip's length that came last
    mutable std::int64_t rope_latents_ = -1;
};

} // namespace wander::train
