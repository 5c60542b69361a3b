#pragma once
// Attention of one slice of keys and values with cuDNN, in BF16 or E4M3, with the log-sum-exp that merging slices
// needs.
//
// Rows are [tokens][heads][head_dim] on the device; no mask. Runs on the device's current stream without
// synchronisation; the workspace comes from torch's allocator. A plan is made at the first call of a shape and kept
// (docs/performance.md has the times). Any thread; calls of one device take turns on the host.
// On Hopper the error of E4M3 grows with the keys of one call (4 % at 4,680, 20 % at 65,520; probably the tensor cores'
// short sums): keep slices to a page group or two, merging them adds no error.
// Plain twin: the float loop in tests/unit/quant/gpu/sdpa_cudnn_test.cpp (bf16 2e-2, E4M3 5e-2 relative).

#include "quant/cuda/expand.hpp"

#include <cstdint>
#include <string>

namespace wander::quant::cuda {

enum class SdpaType { bfloat16, e4m3 };

struct SdpaJob {
    SdpaType type = SdpaType::bfloat16;
    int device = 0; // index
    int heads = 0;
    int head_dim = 0; // bf16: a multiple of 8, E4M3: of 16; at most 128
    std::int64_t queries = 0;
    std::int64_t keys = 0;
    double scale = 1; // of q k before the softmax
    const void* q = nullptr;
    const void* k = nullptr;
    const void* v = nullptr;
    std::int64_t q_row = 0; // values between rows; 0: heads * head_dim
    std::int64_t out_row = 0;
    E4m3Factors* factors = nullptr; // E4M3 only, on the device; what is stored is multiplied by its descale
    void* out = nullptr;            // of `type`; E4M3: with the values' factor
    float* lse = nullptr;           // [heads][queries], natural logarithm; bf16: null where it is not wanted
};

// True where attend() takes this type: in builds with cuDNN's headers (WANDER_CUDNN_FP8); E4M3 on a GPU of compute
// capability 9.0 or newer, BF16 of 8.0.
bool sdpa_supports(SdpaType type, int device);

// Throws c10::Error with cuDNN's own words when cuDNN refuses the job.
void attend(const SdpaJob& job);

// Makes the plan if it is not there yet. Returns the name that cuDNN has for its engine.
std::string prepare(const SdpaJob& job);

} // namespace wander::quant::cuda
