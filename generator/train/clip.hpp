#pragma once
// A batch of clips as the transformer is trained on them, and where the picture's tokens lie. Plain tensors on the
// training device.
//
// A clip is [sink | L clean latents | L noisy ones]: the start picture of its walk, latents that are history, and the
// same latents with noise, each of which sees the sink and the clean latents before it. B clips, latents [16, h, w].

#include "generator/camera/prope.hpp"

#include <ATen/core/Tensor.h>

namespace wander::train {

struct Clip {
    at::Tensor context;   // [B, 1 + L, 16, h, w] float32, the sink first
    at::Tensor noisy;     // [B, L, 16, h, w] float32
    at::Tensor sigma;     // [B, L] float32, 0..1; the network's time is 1000 times that
    at::Tensor labels;    // [B, 1 + L] float32; the sink's is 0
    at::Tensor cameras;   // [B, 1 + L, 4] float32: x, z in world units, yaw, pitch in radians
    at::Tensor worlds;    // [B] int64
    at::Tensor with_pose; // [B] float32: 1, or 0 for clips that are shown without pose and map

    std::int64_t batch() const { return noisy.size(0); }
    std::int64_t latents() const { return noisy.size(1); }
};

// What a DitConfig leaves out: the size of a latent and the world's cameras.
struct LatentGeometry {
    int rows = 0; // of a latent: 14 x 24, tokens 7 x 12
    int cols = 0;
    CameraModel camera;
    double context_timestep = 14; // of clean latents

    int tokens() const { return rows / 2 * (cols / 2); }
};

} // namespace wander::train
