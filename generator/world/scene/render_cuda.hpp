#pragma once
// Draws pictures of scenes on an NVIDIA GPU: the twin of render_cpu.hpp. The same per-ray code, compiled without fused
// multiply-add; pictures differ where sine, arc tangent and exponential differ in their last digit. Tolerance: 99 % of
// the values within one level, 55 dB. Only where WANDER_CUDA is 1.

#include "generator/world/scene/shade.hpp"

#include <cuda_runtime_api.h>

#include <cstdint>

namespace wander::scene::cuda {

// Everything in device memory.
struct DrawJob {
    const SceneView* scenes = nullptr;      // whose pointers are device pointers too
    const std::int32_t* scene_of = nullptr; // [pictures]
    const CameraView* cameras = nullptr;    // [pictures]
    int pictures = 0;
    PictureFormat format;
    std::uint8_t* rgb = nullptr; // [pictures][height][width][3]
};

// Queued on the stream.
cudaError_t draw_pictures(const DrawJob& job, cudaStream_t stream);

} // namespace wander::scene::cuda
