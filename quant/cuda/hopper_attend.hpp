#pragma once
// Attention with kernels of our own for Hopper GPUs (compute capability 9.0): heads of 128 channels, no mask, all keys
// of some heads in one launch that gives every multiprocessor the same amount of work (but for one that pairs leave
// over), with the log-sum-exp that merging launches needs.
//
// Raw device pointers, the caller's stream, no synchronisation, no allocation. The same job gives the same bits.
// Plain twin: dense products in tests/unit/quant/gpu/hopper_attend_test.cpp (bf16: 5e-3 of the result, log-sum-exp
// 1e-3; E4M3 against the stored values: 3e-2, log-sum-exp 2e-2 over all rows and 1.1e-1 of one, more where scores are
// large). How E4M3 stores probabilities: quant/cuda/e4m3_probabilities.hpp.

#include "quant/cuda/expand.hpp"

#include <cstdint>

namespace wander::quant::cuda {

inline constexpr int kHopperHeadDim = 128;
inline constexpr int kMaxSegments = 40;

// BF16: values of consecutive keys that lie together, [rows][heads][128], rows may lie apart. E4M3: the values of all
// keys, column by column: [heads][128][value_row], keys in the order that ExpandJob::out_columns has.
struct HopperSegment {
    const void* values = nullptr;
    std::int64_t value_row = 0; // values between rows
    int rows = 0;               // keys
};

struct HopperJob {
    int device = 0; // index
    int heads = 0;
    int queries = 0;
    double scale = 1;                     // of q k before the softmax
    const E4m3Factors* factors = nullptr; // on the device: q, k and values are E4M3; null: BF16
    const void* q = nullptr; // [queries][heads][128], rows may lie apart; 16 bytes aligned, as all that follows
    std::int64_t q_row = 0;  // values between rows; 0: heads * 128
    const void* k = nullptr; // [keys][heads][128], dense, in the order of the segments
    HopperSegment segments[kMaxSegments];
    int segment_count = 0; // E4M3: 1
    void* out = nullptr;   // bf16 [queries][heads][128], rows may lie apart
    std::int64_t out_row = 0;
    // Heads of two branches, the first one's in front: results of the second go to out + out_branch, turned by
    // matrices[query / tokens_per_latent], [latents][16] on the device. 0: one branch.
    int branch_heads = 0;
    std::int64_t out_branch = 0;
    const float* matrices = nullptr;
    int tokens_per_latent = 1;
    float* lse = nullptr;       // [heads][queries], natural logarithm; null: not wanted
    void* places = nullptr;     // hopper_place_bytes(): results of parts of the keys
    unsigned* counts = nullptr; // kHopperCounts, zero before the first launch and after each
};

inline constexpr int kHopperCounts = 1024;

bool hopper_supports(int device);
// BF16 keys are walked in tiles of that many; each segment begins one.
int hopper_tile_keys();
std::int64_t hopper_place_bytes(const HopperJob& job);
// Of `heads` heads, each of `branches` that go together, how many one launch should have, at most `most`, so that all
// launches together are shortest.
int hopper_heads(int device, int heads, int branches, int most, int queries, std::int64_t keys, bool e4m3);
// Null, or why it was not launched.
const char* hopper_attend(const HopperJob& job, Stream stream);

} // namespace wander::quant::cuda
