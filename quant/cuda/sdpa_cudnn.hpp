#pragma once
// Attention of one slice of keys and values with cuDNN, in BF16 or E4M3, with the log-sum-exp that merging slices
// needs.
//
// Rows are [tokens][heads][head_dim], contiguous, on the device; no mask. Runs on the device's current stream without
// synchronisation; the workspace comes from torch's allocator. A plan is made at the first call of a shape and kept
// (docs/performance.md has the times). Any thread; calls of one device take turns on the host.
// On Hopper the error of E4M3 grows with the keys of one call (4 % at 4,680, 20 % at 65,520; probably the tensor cores'
// short sums): keep slices to a page group or two, merging them adds no error.
// Plain twin: the float loop in tests/unit/quant/gpu/sdpa_cudnn_test.cpp (bf16 2e-2, E4M3 5e-2 relative).

#include "quant/cuda/expand.hpp"

#include <cstdint>

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
    // E4M3 only: one float each on the device; a value is what is stored times its factor.
    const float* descale_q = nullptr;
    const float* descale_k = nullptr;
    const float* descale_v = nullptr;
    Element out_element =
        Element::bfloat16; // e4m3 (E4M3 only): as cuDNN writes it, a value is what is stored times *descale_v
    void* out = nullptr;   // [queries][heads][head_dim]
    float* lse = nullptr;  // [heads][queries], natural logarithm
};

// True where attend() takes this type: bf16 wherever libtorch_cuda is loaded; E4M3 in builds with cuDNN's headers
// (WANDER_CUDNN_FP8), on a GPU of compute capability 9.0 or newer.
bool sdpa_supports(SdpaType type, int device);

// Throws c10::Error with cuDNN's own words when cuDNN refuses the job.
void attend(const SdpaJob& job);

// Bytes of an E4M3 call beside its workspace where `out` is wider: cuDNN writes E4M3 there, which is then widened.
inline std::int64_t sdpa_e4m3_output_bytes(const SdpaJob& job) { return job.queries * job.heads * job.head_dim; }

} // namespace wander::quant::cuda
