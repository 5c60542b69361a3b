#pragma once
// What the parts of Hopper's attention kernel share: a tile's sizes, a launch's arguments, barriers and their phases.
// Device code for sm_90a alone.

#include "quant/cuda/hopper_attend.hpp"
#include "quant/cuda/hopper_sync.cuh"
#include "quant/cuda/hopper_work.hpp"

#include <cuda_bf16.h>

#include <cstdint>

namespace wander::quant::cuda::hopper {

inline constexpr int kChannels = kHopperHeadDim;
inline constexpr int kHalf = 64;            // channels of a row of shared memory: 128 bytes
inline constexpr unsigned kHalfBytes = 128; // of one row
inline constexpr float kLn2 = 0.6931471805599453F;
inline constexpr int kStatThreads = 128; // threads of a warpgroup
inline constexpr int kPlaceVectors = 17; // float4 values of a thread in a partial result: 64 sums, 2 peaks, 2 totals

// kBlocks: thread blocks of a cluster, which attend to the same keys: each copies its share of a tile to all of them,
// so that the L2 cache is read once for all. kStages: tiles of keys, and of values, in shared memory. The tiles of a
// piece of work go through them in turn, from the first on, so that where two tiles are done in one round of a loop,
// the compiler knows which of a pair each has.
template <bool kE4m3_, int kKeys_, int kStages_, int kBlocks_>
struct Tile {
    static constexpr bool kE4m3 = kE4m3_;
    static constexpr int kBlocks = kBlocks_; // of a cluster
    static constexpr int kGroups = 2;        // of a block, each of 64 queries
    static constexpr int kKeys = kKeys_;     // of one tile
    static constexpr int kStages = kStages_;
    static constexpr int kBlockQueries = 64 * kGroups;
    static constexpr int kQueries = kBlockQueries * kBlocks; // of a cluster
    static constexpr int kThreads = 128 * (kGroups + 1);
    static constexpr int kValueBytes = kE4m3 ? 1 : 2;
    static constexpr int kHalves = kValueBytes; // rows of shared memory that 128 channels take
    static constexpr unsigned kQueryBytes = kBlockQueries * kChannels * kValueBytes;
    static constexpr unsigned kTileBytes = kKeys * kChannels * kValueBytes;
    // E4M3: a block of ones lies behind the values of a tile, so that the products have the rows' totals too.
    static constexpr unsigned kOnesBytes = kE4m3 ? 8 * kHalfBytes : 0;
    static constexpr unsigned kValueTileBytes = kTileBytes + kOnesBytes;
    static constexpr unsigned kSharedBytes = 1024 + kQueryBytes + kStages * (kTileBytes + kValueTileBytes) + 256;
    static constexpr int kSums = kE4m3 ? 68 : 64; // of a thread, products of a tile or two with values
    static constexpr int kFeederRegisters = 24;
    static constexpr int kWorkerRegisters = 240;
    static_assert(kKeys % 16 == 0 && kSharedBytes <= 232448 && (!kE4m3 || kKeys == 128));
    static_assert(kStages == 2 || kStages == 4);
    // In pairs a block copies whole eights of rows, as swizzling has them. E4M3 would have to know that the other block
    // may not write over keys while leap() reads them.
    static_assert(kBlocks == 1 || (kBlocks == 2 && kKeys % 16 == 0 && !kE4m3));
};

// Of all clusters, and of all blocks of the cluster.
template <class T>
__device__ inline int cluster_index() {
    return static_cast<int>(blockIdx.x) / T::kBlocks;
}
template <class T>
__device__ inline int block_of_cluster() {
    return static_cast<int>(blockIdx.x) % T::kBlocks;
}

struct Launch {
    CUtensorMap q, k; // [row][head][channel], boxes of 128 bytes of a block's queries, of its share of a tile's rows
    // BF16: likewise; a segment's values lie together, its last tile may be short. E4M3: [head][channel][key], one
    // segment.
    CUtensorMap v[kMaxSegments];
    int first_tile[kMaxSegments] = {};
    int first_row[kMaxSegments] = {}; // of k
    int rows[kMaxSegments] = {};
    int segments = 0;
    Work work;
    int queries = 0;
    int query_tiles = 0;                  // of one head
    float scale_log2 = 0;                 // of scores, for powers of two
    const E4m3Factors* factors = nullptr; // E4M3: what stored values are multiplied by
    __nv_bfloat16* out = nullptr;
    long long out_row = 0;
    int branch_heads = 0;            // heads from here on are the second branch's
    long long out_branch = 0;        // which go so much further
    const float* matrices = nullptr; // and are turned: [latents][16]
    int tokens_per_latent = 1;
    float* lse = nullptr;       // [heads][queries]
    float4* places = nullptr;   // partial results [place][group of the cluster][kPlaceVectors][kStatThreads]
    unsigned* counts = nullptr; // [shared tile][group of the cluster], parts that are done; zero between launches
};

// Barriers in shared memory, eight bytes each.
template <int kStages>
struct Barriers {
    std::uint32_t base;
    __device__ std::uint32_t full_q() const { return base; }
    __device__ std::uint32_t empty_q() const { return base + 8; }
    __device__ std::uint32_t full_k(int i) const { return base + 16 + 8 * static_cast<unsigned>(i); }
    __device__ std::uint32_t empty_k(int i) const { return full_k(i + kStages); }
    __device__ std::uint32_t full_v(int i) const { return full_k(i + 2 * kStages); }
    __device__ std::uint32_t empty_v(int i) const { return full_k(i + 3 * kStages); }
};

// Which phase of its barrier each stage has next.
struct Phases {
    unsigned bits = 0;
    __device__ unsigned take(int stage) {
        const unsigned phase = bits >> static_cast<unsigned>(stage) & 1U;
        bits ^= 1U << static_cast<unsigned>(stage);
        return phase;
    }
};

// The segment of a tile, walking down from `segment`.
__device__ inline int segment_of(const Launch& launch, int tile, int segment) {
    while (tile < launch.first_tile[segment]) {
        --segment;
    }
    return segment;
}

} // namespace wander::quant::cuda::hopper
