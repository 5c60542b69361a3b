#pragma once
// Un-rotated history of many walks made ready for one chunk's attention: both forms of every head, keys and values.
//
// On an NVIDIA GPU in bfloat16 one kernel (history_rotation.cu), bound by memory; everything else the plain twin. They
// agree to one step of bfloat16. No gradients.

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace wander::train {

struct HistoryRotation {
    at::Tensor keys, values;   // [R, S, T, D] compute type, normed keys; walks may lie apart
    at::Tensor cos, sin;       // wide [S, T, 32]
    at::Tensor camera_inverse; // wide [R, S, 4, 4]: P^-1
};

// Writes rows 0 .. S T of keys, values [R, rows, 2 H, 64]: RoPE(k) and P^-1 k, v and P^-1 v.
void rotate_history(const HistoryRotation& history, at::Tensor& keys, at::Tensor& values);
void rotate_history_plain(const HistoryRotation& history, at::Tensor& keys, at::Tensor& values);

} // namespace wander::train

struct CUstream_st;

namespace wander::train::cuda {

// Raw device pointers, the caller's stream, no synchronisation. dim is a multiple of 64; everything is aligned to 16
// bytes.
struct RotateHistoryJob {
    const void* keys = nullptr; // bf16 [walks, slots, tokens, dim]
    const void* values = nullptr;
    std::int64_t walk_stride = 0; // of keys and values, in elements
    const float* cos = nullptr;   // [slots, tokens, 32]
    const float* sin = nullptr;
    const float* camera_inverse = nullptr; // [walks, slots, 16]
    void* rotated_keys = nullptr;          // bf16 [walks, rows, 2 dim]
    void* rotated_values = nullptr;
    std::int64_t rotated_walk_stride = 0; // rows times 2 dim
    int walks = 0;
    int slots = 0;
    int tokens = 0;
    int dim = 0;
};
void launch_rotate_history(const RotateHistoryJob& job, CUstream_st* stream);

} // namespace wander::train::cuda
