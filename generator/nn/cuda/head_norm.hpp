#pragma once
// Launcher of the RMS norm of single heads on an NVIDIA GPU, in place.
//
// Raw device pointers, the caller's stream, no synchronisation, no allocation. Arithmetic in float32, sums in a fixed
// order. Plain twin: nn::plain::head_norm (tests/unit/generator/gpu/head_norm_test.cpp, one rounding of bfloat16).

#include <cstdint>

struct CUstream_st;

namespace wander::nn::cuda {

using Stream = CUstream_st*;

// A head is the work of head_dim / 8 neighbouring lanes.
constexpr bool head_norm_takes(std::int64_t head_dim) {
    return head_dim == 8 || head_dim == 16 || head_dim == 32 || head_dim == 64 || head_dim == 128 || head_dim == 256;
}

struct HeadNormJob {
    std::int64_t rows = 0;
    int heads = 0;
    int head_dim = 0;
    void* x = nullptr;         // bfloat16 [rows][heads][head_dim]
    std::int64_t x_stride = 0; // between rows, values
    const float* weight = nullptr;
    float eps = 0;
};

void launch_head_norm(const HeadNormJob& job, Stream stream);

} // namespace wander::nn::cuda
