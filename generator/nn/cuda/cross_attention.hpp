#pragma once
// Attention over the few keys of a text on an NVIDIA GPU (compute capability 8.0 or newer), bfloat16, heads of 128
// channels. The softmax runs over all keys; the last one may stand for several alike.
//
// Raw device pointers, the caller's stream, no synchronisation, no allocation. Products on the tensor cores, sums in
// float32. Plain twin: torch's attention with a mask (tests/unit/generator/gpu/cross_attention_test.cpp, 1e-2
// relative).

#include "generator/nn/cuda/rows.hpp"

namespace wander::nn::cuda {

inline constexpr int kCrossHeadDim = 128;
inline constexpr int kMaxCrossKeys = 256; // beyond it general attention is faster

struct CrossJob {
    std::int64_t rows = 0;
    int heads = 0;
    int keys = 0;
    const void* q = nullptr; // [rows][heads][128]
    const void* k = nullptr; // [keys][heads][128]
    const void* v = nullptr;
    const float* row_factor = nullptr; // [rows], of the logits
    float scale = 1;                   // of the logits, too
    float last_bias = 0;               // added to the last key's logit
    void* out = nullptr;               // [rows][heads][128]
};

void launch_cross_attention(const CrossJob& job, Stream stream);

} // namespace wander::nn::cuda
