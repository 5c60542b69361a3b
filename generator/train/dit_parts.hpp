#pragma once
// The parts of the embedded world's transformer that training clips and batched walks share: weights as they are
// multiplied, time and label, cameras, rotary positions, patches. Room-internal to generator/train.
//
// "Wide" is float32, or float64 when computing in that. All functions are differentiable in grad mode.

#include "generator/train/clip.hpp"
#include "generator/train/ops.hpp"
#include "generator/train/parameters.hpp"
#include "generator/train/pose_features.hpp"
#include "generator/wan/dit.hpp"

#include <array>
#include <vector>

namespace wander::train {

at::ScalarType wide_type(at::ScalarType compute);

struct LinearWeights {
    at::Tensor weight, bias;
    at::Tensor operator()(const at::Tensor& x) const;
};

struct BlockWeights {
    LinearWeights qkv;          // [3 D, D]
    LinearWeights out;          // [D, 2 D]: of the RoPE heads, then of the PRoPE heads
    LinearWeights ffn_0, ffn_2; //
    at::Tensor norm_q, norm_k;  // wide [D]
};

// The matrices of blocks and pose layers are joined, cast once and cut into views: three launches forward and backward
// instead of three a matrix. The rest stays wide.
struct DitWeights {
    LinearWeights patch, time_0, time_2, time_projection, action_0, action_2, head; // wide
    at::Tensor modulation;      // wide [layers, 6, 1, 1, D], 1 added to the scales
    at::Tensor head_modulation; // wide [2, 1, 1, D], 1 added to the scale
    std::vector<BlockWeights> blocks;
    LinearWeights pose_0, pose_2, pose_4; // compute type; pose_0 takes the padded features
    at::Tensor world_rows;                // wide [worlds, hidden]
    at::Tensor fine, coarse;              // wide
};
DitWeights dit_weights(const Parameters& parameters, const DitConfig& config, at::ScalarType compute);

// Shift, scale, gate, shift, scale, gate of each block, [B, N, D] each, "1 +" included.
struct Modulation {
    std::vector<std::array<at::Tensor, 6>> blocks;
    at::Tensor head_shift, head_scale;
};
// timesteps, labels: [B, N]. Cosines first, frequencies 10000^(-i / half).
Modulation modulation_of(const DitWeights& weights, const DitConfig& config, const at::Tensor& timesteps,
                         const at::Tensor& labels);

// [B, N, C, h, w] -> [B, N, T, 4 C], order (channel, dy, dx).
at::Tensor to_patches(const at::Tensor& latents);
// [B, N, T, 4 C], order (dy, dx, channel) -> [B, N, C, h, w].
at::Tensor from_patches(const at::Tensor& tokens, const LatentGeometry& geometry);

// Pose and map of each token, wide [B, N, T, D], times with_pose [B].
at::Tensor pose_tokens(const DitWeights& weights, const PoseFeatures& features, const at::Tensor& cameras,
                       const at::Tensor& worlds, const at::Tensor& with_pose, at::ScalarType compute);

// P and P^-1 of PRoPE, wide [B, N, 4, 4]; translations relative to `anchor` [B, 2], at its nearest copy on the torus.
struct CameraMatrices {
    at::Tensor projection, inverse;
};
CameraMatrices camera_matrices(const at::Tensor& cameras, const at::Tensor& anchor, const CameraModel& camera,
                               at::ScalarType wide);

// Cosines and sines of slots 0 .. slots - 1, [slots, T, 32] each.
struct RopeTable {
    at::Tensor cos, sin;
};
RopeTable rope_table(const DitConfig& config, const LatentGeometry& geometry, std::int64_t slots, at::Device device,
                     at::ScalarType wide);

} // namespace wander::train
