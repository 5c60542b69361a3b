#pragma once
// Launchers of RMS norm and SiLU over channels on an NVIDIA GPU, forward and backward. Raw device pointers, the
// caller's stream, no synchronisation, no allocation. Arithmetic in float32, sums in a fixed order: the same bytes
// every time. Plain twin: train::plain::norm_silu_rows (tests/unit/train/gpu/picture_norm_test.cpp, relative error of
// 1/100).

#include <cstdint>

struct CUstream_st;

namespace wander::train::cuda {

// Eight channels are the work of one lane.
constexpr bool picture_norm_takes(std::int64_t channels) {
    return channels % 8 == 0 && channels >= 8 && channels <= 256;
}

// Rows of gamma's gradient that the backward pass leaves to be added up.
inline constexpr int kPictureNormParts = 1024;

struct PictureNormJob {
    std::int64_t rows = 0;
    int channels = 0;
    float eps = 0;
    const void* x = nullptr;      // bfloat16 [rows][channels]
    const float* gamma = nullptr; // [channels]
    void* y = nullptr;            // forward: bfloat16 [rows][channels]
    const void* dy = nullptr;     // backward: bfloat16 [rows][channels]
    void* dx = nullptr;           // backward: bfloat16 [rows][channels]
    float* dgamma = nullptr;      // backward: [kPictureNormParts][channels]
};

void launch_picture_norm_forward(const PictureNormJob& job, CUstream_st* stream);
void launch_picture_norm_backward(const PictureNormJob& job, CUstream_st* stream);

} // namespace wander::train::cuda
