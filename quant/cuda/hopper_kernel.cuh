#pragma once
// Attention of 128 channels in BF16 or E4M3 on Hopper. Device code for sm_90a alone; quant/cuda/hopper_attend.hpp says
// what it computes.
//
// A thread block holds kGroups warpgroups of 64 queries each and one warpgroup whose first thread feeds them tiles of
// keys and values through the copy engine. A warpgroup keeps scores, probabilities and its result in registers. Its
// products with the values of a tile run while it makes probabilities of the next tile's scores, and the warpgroups
// take turns in starting products, so that the tensor cores always have some.
//
// E4M3 products add up with few bits, so the products of each tile of values begin at zero and are added to the result
// in float: that is where the result fades anyway. Probabilities are stored 256 times as large.

#include "quant/cuda/chained_launch.cuh"
#include "quant/cuda/hopper_attend.hpp"
#include "quant/cuda/hopper_mma.cuh"
#include "quant/cuda/hopper_sync.cuh"
#include "quant/cuda/hopper_work.hpp"

#include <cuda_bf16.h>

namespace wander::quant::cuda::hopper {

inline constexpr int kChannels = kHopperHeadDim;
inline constexpr int kHalf = 64;            // channels of a row of shared memory: 128 bytes
inline constexpr unsigned kHalfBytes = 128; // of one row
inline constexpr float kLog2Larger = 8;     // of stored probabilities in E4M3
inline constexpr float kLn2 = 0.6931471805599453F;
inline constexpr int kStatThreads = 128; // threads of a warpgroup
inline constexpr int kPlaceVectors = 17; // float4 values of a thread in a partial result: 64 sums, 2 peaks, 2 totals

template <bool kE4m3_, int kKeys_, int kStages_>
struct Tile {
    static constexpr bool kE4m3 = kE4m3_;
    static constexpr int kGroups = 2;        // of 64 queries
    static constexpr int kKeys = kKeys_;     // of one tile
    static constexpr int kStages = kStages_; // tiles of keys, and of values, in shared memory
    static constexpr int kQueries = 64 * kGroups;
    static constexpr int kThreads = 128 * (kGroups + 1);
    static constexpr int kValueBytes = kE4m3 ? 1 : 2;
    static constexpr int kHalves = kValueBytes; // rows of shared memory that 128 channels take
    static constexpr unsigned kQueryBytes = kQueries * kChannels * kValueBytes;
    static constexpr unsigned kTileBytes = kKeys * kChannels * kValueBytes;
    static constexpr unsigned kSharedBytes = 1024 + kQueryBytes + 2 * kStages * kTileBytes + 256;
    static constexpr int kFeederRegisters = 24;
    static constexpr int kWorkerRegisters = 240;
    static_assert(kKeys % 16 == 0 && kSharedBytes <= 232448 && (!kE4m3 || kKeys == 128));
};

struct Launch {
    CUtensorMap q, k; // [row][head][channel], boxes of 64 channels of a tile's rows
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
    float* lse = nullptr;       // [heads][queries]
    float4* places = nullptr;   // partial results [place][group][kPlaceVectors][kStatThreads]
    unsigned* counts = nullptr; // [shared tile][group], parts that are done; zero between launches
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

// The segment of a tile, walking down from `segment`.
__device__ inline int segment_of(const Launch& launch, int tile, int segment) {
    while (tile < launch.first_tile[segment]) {
        --segment;
    }
    return segment;
}

// A place in a ring of stages.
template <int kStages>
struct Ring {
    int stage = 0;
    unsigned phase = 0;
    __device__ void next() {
        if (++stage == kStages) {
            stage = 0;
            phase ^= 1U;
        }
    }
};

// The value, of which the compiler then knows that all lanes have the same.
__device__ inline std::uint32_t alike(std::uint32_t value) { return __shfl_sync(0xffffffffU, value, 0); }

__device__ inline float exp2_fast(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// The first value in the lowest byte; saturates at 448.
__device__ inline std::uint32_t four_e4m3(float a, float b, float c, float d) {
    std::uint32_t four;
    asm("{\n.reg .b16 low, high;\n"
        "cvt.rn.satfinite.e4m3x2.f32 low, %2, %1;\n"
        "cvt.rn.satfinite.e4m3x2.f32 high, %4, %3;\n"
        "mov.b32 %0, {low, high};\n}\n"
        : "=r"(four)
        : "f"(a), "f"(b), "f"(c), "f"(d));
    return four;
}

__device__ inline std::uint32_t two_bf16(float low, float high) {
    std::uint32_t both;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    return both;
}

// Rows of a head from `row` on: all their channels, 128 bytes of each row after the other.
template <class T>
__device__ inline void copy_rows(std::uint32_t target, unsigned bytes, const CUtensorMap& map, std::uint32_t barrier,
                                 int head, int row) {
    for (int half = 0; half < T::kHalves; ++half) {
        copy_box(target + static_cast<unsigned>(half) * (bytes / T::kHalves), map, barrier, half * kHalf, head, row);
    }
}

// The first thread of the last warpgroup: keys and values in the order in which they are read.
template <class T>
__device__ inline void feed(const Launch& launch, std::uint32_t queries, std::uint32_t keys, std::uint32_t values,
                            Barriers<T::kStages> barriers) {
    Ring<T::kStages> k, v;
    unsigned q_phase = 0;
    const auto load_k = [&](int head, int tile, int segment) {
        barrier_wait(barriers.empty_k(k.stage), k.phase ^ 1U);
        const std::uint32_t full = barriers.full_k(k.stage);
        const std::uint32_t target = keys + static_cast<unsigned>(k.stage) * T::kTileBytes;
        const int row = launch.first_row[segment] + (tile - launch.first_tile[segment]) * T::kKeys;
        barrier_expect(full, T::kTileBytes);
        copy_rows<T>(target, T::kTileBytes, launch.k, full, head, row);
        k.next();
    };
    const auto load_v = [&](int head, int tile, int segment) {
        barrier_wait(barriers.empty_v(v.stage), v.phase ^ 1U);
        const std::uint32_t full = barriers.full_v(v.stage);
        const std::uint32_t target = values + static_cast<unsigned>(v.stage) * T::kTileBytes;
        const int row = (tile - launch.first_tile[segment]) * T::kKeys;
        barrier_expect(full, T::kTileBytes);
        if constexpr (T::kE4m3) {
            copy_box(target, launch.v[segment], full, row, 0, head);
        } else {
            copy_rows<T>(target, T::kTileBytes, launch.v[segment], full, head, row);
        }
        v.next();
    };
    Piece piece;
#pragma unroll 1
    for (int i = 0; find_piece(launch.work, static_cast<int>(blockIdx.x), i, piece); ++i) {
        const int head = piece.tile / launch.query_tiles;
        const int first_query = piece.tile % launch.query_tiles * T::kQueries;
        int segment = segment_of(launch, piece.last - 1, launch.segments - 1);
        load_k(head, piece.last - 1, segment);
        barrier_wait(barriers.empty_q(), q_phase ^ 1U);
        barrier_expect(barriers.full_q(), T::kQueryBytes);
        copy_rows<T>(queries, T::kQueryBytes, launch.q, barriers.full_q(), head, first_query);
        q_phase ^= 1U;
#pragma unroll 1
        for (int tile = piece.last - 2; tile >= piece.first; --tile) {
            const int before = segment;
            segment = segment_of(launch, tile, segment);
            load_k(head, tile, segment);
            load_v(head, tile + 1, before);
        }
        load_v(head, piece.first, segment);
    }
}

// One warpgroup's 64 queries of a piece.
template <class T>
struct Worker {
    static constexpr int kScores = T::kKeys / 2;
    const Launch& launch;
    int group;                                  // of queries
    int thread;                                 // of the warpgroup
    std::uint32_t q_matrix, k_matrix, v_matrix; // as describe() has them
    Barriers<T::kStages> barriers;
    Ring<T::kStages> k, v;
    unsigned q_phase = 0;

    float sums[64];                                      // result, not yet divided
    float scores[kScores];                               // and what becomes of them
    std::uint32_t weights[kScores * T::kValueBytes / 4]; // probabilities
    float peak[2];                                       // largest score of a row
    float total[2];                                      // of the row's probabilities that this thread made
    float scale_log2;                                    // of stored scores

    __device__ Worker(const Launch& l, int g, std::uint32_t queries, std::uint32_t keys, std::uint32_t values,
                      Barriers<T::kStages> b)
        : launch(l),
          group(g),
          thread(static_cast<int>(keep(threadIdx.x % 128))),
          q_matrix(describe(queries + static_cast<unsigned>(g) * 64 * kHalfBytes, 0)),
          k_matrix(describe(keys, 0)),
          v_matrix(describe(values, T::kTileBytes / 2)),
          barriers(b),
          scale_log2(l.scale_log2) {
        if constexpr (T::kE4m3) {
            scale_log2 *= l.factors->descale[0] * l.factors->descale[1];
        }
    }

    // One arrival a warp.
    __device__ void release(std::uint32_t barrier) const {
        if (thread % 32 == 0) {
            barrier_arrive(barrier);
        }
    }
    __device__ void take_turn() const { named_sync(1 + group, 256); }
    __device__ void pass_turn() const { named_arrive(1 + (group + 1) % T::kGroups, 256); }

    __device__ void start_scores() {
        const std::uint32_t tile = alike(further(k_matrix, static_cast<unsigned>(k.stage) * T::kTileBytes));
        const std::uint32_t q_tile = alike(q_matrix);
        products_begin();
#pragma unroll
        for (int step = 0; step < 4 * T::kHalves; ++step) { // 32 bytes of each row
            const unsigned half = static_cast<unsigned>(step) / 4, within = static_cast<unsigned>(step) % 4 * 32;
            const std::uint32_t a = further(q_tile, half * (T::kQueryBytes / 2) + within);
            const std::uint32_t b = further(tile, half * (T::kTileBytes / 2) + within);
            if constexpr (T::kE4m3) {
                scores_e4m3(scores, a, b, step);
            } else {
                scores_bf16<T::kKeys>(scores, a, b, step);
            }
        }
        products_commit();
    }
    // add: to what `to` holds.
    __device__ void start_values(float (&to)[64], int add) {
        const std::uint32_t tile = alike(further(v_matrix, static_cast<unsigned>(v.stage) * T::kTileBytes));
        products_begin();
#pragma unroll
        for (int step = 0; step < static_cast<int>(sizeof(weights) / 16); ++step) {
            const std::uint32_t* const p = weights + 4 * step;
            const unsigned further_by = static_cast<unsigned>(step) * (T::kE4m3 ? 32 : 16 * kHalfBytes);
            if constexpr (T::kE4m3) {
                values_e4m3(to, p[0], p[1], p[2], p[3], further(tile, further_by), step > 0 ? 1 : add);
            } else {
                values_bf16(to, p[0], p[1], p[2], p[3], further(tile, further_by), step > 0 ? 1 : add);
            }
        }
        products_commit();
    }

    // Keys from `valid` on are none.
    __device__ void mask(int valid) {
        if (valid >= T::kKeys) [[likely]] {
            return;
        }
#pragma unroll
        for (int i = 0; i < kScores; ++i) {
            if (i / 4 * 8 + thread % 4 * 2 + i % 2 >= valid) {
                scores[i] = -INFINITY;
            }
        }
    }

    // Scores become probabilities against the peak so far; `fade`: what earlier sums are multiplied by.
    template <bool kFirst>
    __device__ void soften(float (&fade)[2]) {
        float largest[2][2] = {{scores[0], scores[1]}, {scores[2], scores[3]}}; // two chains a row
#pragma unroll
        for (int i = 4; i < kScores; ++i) {
            largest[i / 2 % 2][i % 2] = fmaxf(largest[i / 2 % 2][i % 2], scores[i]);
        }
        float shift[2];
#pragma unroll
        for (int row = 0; row < 2; ++row) {
            float most = fmaxf(largest[row][0], largest[row][1]);
            most = fmaxf(most, __shfl_xor_sync(0xffffffffU, most, 1));
            most = fmaxf(most, __shfl_xor_sync(0xffffffffU, most, 2));
            if constexpr (kFirst) {
                fade[row] = 0;
                total[row] = 0;
            } else {
                most = fmaxf(most, peak[row]);
                fade[row] = exp2_fast((peak[row] - most) * scale_log2);
                total[row] *= fade[row];
            }
            peak[row] = most;
            shift[row] = fmaf(most, scale_log2, T::kE4m3 ? -kLog2Larger : 0.0F);
        }
#pragma unroll
        for (int i = 0; i < kScores; ++i) {
            scores[i] = exp2_fast(fmaf(scores[i], scale_log2, -shift[i / 2 % 2]));
            total[i / 2 % 2] += scores[i];
        }
    }
    __device__ void pack() {
        if constexpr (T::kE4m3) {
            // Keys stand in the order that makes these the operand's values: see place_of_key() in expand_rows.cuh.
#pragma unroll
            for (int i = 0; i < kScores / 8; ++i) {
                const float* const s = scores + 8 * i;
                weights[2 * i] = four_e4m3(s[0], s[1], s[4], s[5]);
                weights[2 * i + 1] = four_e4m3(s[2], s[3], s[6], s[7]);
            }
        } else {
#pragma unroll
            for (int i = 0; i < kScores / 2; ++i) {
                weights[i] = two_bf16(scores[2 * i], scores[2 * i + 1]);
            }
        }
    }

    __device__ void attend(const Piece& piece) {
        float fade[2]; // of what was summed up before the newest tile of probabilities
        barrier_wait(barriers.full_q(), q_phase);
        q_phase ^= 1U;
        barrier_wait(barriers.full_k(k.stage), k.phase);
        start_scores();
        products_wait<0>();
        pin(scores);
        release(barriers.empty_k(k.stage));
        k.next();
        int segment = segment_of(launch, piece.last - 1, launch.segments - 1);
        int segment_tile = launch.first_tile[segment];
        mask(launch.rows[segment] - (piece.last - 1 - segment_tile) * T::kKeys);
        soften<true>(fade);
        pack();
        if constexpr (T::kE4m3) {
#pragma unroll
            for (int i = 0; i < 64; ++i) {
                sums[i] = 0;
            }
        }
        int add = 0;
        for (int tile = piece.last - 2; tile >= piece.first; --tile) {
            [[maybe_unused]] float fresh[T::kE4m3 ? 64 : 1];
            barrier_wait(barriers.full_k(k.stage), k.phase);
            take_turn();
            start_scores();
            barrier_wait(barriers.full_v(v.stage), v.phase);
            if constexpr (T::kE4m3) {
                start_values(fresh, 0);
            } else {
                start_values(sums, add);
                add = 1;
            }
            pass_turn();
            products_wait<1>();
            pin(scores);
            release(barriers.empty_k(k.stage));
            k.next();
            if (tile < segment_tile) [[unlikely]] { // the last tile of the segment before
                --segment;
                segment_tile = launch.first_tile[segment];
                mask(launch.rows[segment] - (tile - segment_tile) * T::kKeys);
            }
            const float before[2] = {fade[0], fade[1]};
            soften<false>(fade);
            pin(scores);
            // Done already: what it does is to keep the compiler from waiting before it makes probabilities.
            barrier_wait(barriers.full_v(v.stage), v.phase);
            products_wait<0>();
            if constexpr (T::kE4m3) {
                pin(fresh);
            } else {
                pin(sums);
            }
            pin(scores);
            release(barriers.empty_v(v.stage));
            v.next();
#pragma unroll
            for (int i = 0; i < 64; ++i) {
                if constexpr (T::kE4m3) {
                    sums[i] = fmaf(sums[i], before[i / 2 % 2], fresh[i]);
                } else {
                    sums[i] *= fade[i / 2 % 2];
                }
            }
            pack();
        }
        release(barriers.empty_q());
        barrier_wait(barriers.full_v(v.stage), v.phase);
        if constexpr (T::kE4m3) {
            float fresh[64];
            start_values(fresh, 0);
            products_wait<0>();
            pin(fresh);
#pragma unroll
            for (int i = 0; i < 64; ++i) {
                sums[i] = fmaf(sums[i], fade[i / 2 % 2], fresh[i]);
            }
        } else {
            start_values(sums, add);
            products_wait<0>();
            pin(sums);
        }
        release(barriers.empty_v(v.stage));
        v.next();
#pragma unroll
        for (int row = 0; row < 2; ++row) {
            total[row] += __shfl_xor_sync(0xffffffffU, total[row], 1);
            total[row] += __shfl_xor_sync(0xffffffffU, total[row], 2);
        }
        if (piece.parts == 1 || put_together(piece)) {
            store(piece);
        }
    }

    // Leaves this part of a shared tile for others. True for the block that is done last: it then holds the whole.
    __device__ bool put_together(const Piece& piece) {
        const int sections = launch.work.sections;
        // Of the parts behind the sections: place_of() goes up by one from each to the next.
        const int behind = piece.parts > sections ? place_of(launch.work, piece.shared, sections) - sections : 0;
        const auto place = [&](int part) {
            const int index = part < sections ? part * launch.work.shared + piece.shared : behind + part;
            const int at = index * T::kGroups + group;
            return launch.places + static_cast<long long>(at) * kPlaceVectors * kStatThreads + thread;
        };
        float4* const mine = place(piece.part);
#pragma unroll
        for (int i = 0; i < 16; ++i) {
            __stcg(mine + i * kStatThreads,
                   make_float4(sums[4 * i], sums[4 * i + 1], sums[4 * i + 2], sums[4 * i + 3]));
        }
        __stcg(mine + 16 * kStatThreads, make_float4(peak[0], peak[1], total[0], total[1]));
        __threadfence();
        const int id = 1 + T::kGroups + group;
        named_sync(id, 128);
        unsigned* const count = launch.counts + piece.shared * T::kGroups + group;
        int last = 0;
        if (thread == 0) {
            last = atomicAdd(count, 1U) + 1 == static_cast<unsigned>(piece.parts);
            if (last) {
                *count = 0;
            }
        }
        // Bit by vote: the barrier carries whether any thread saw the last part.
        asm volatile(
            "{\n.reg .pred p, q;\nsetp.ne.b32 p, %1, 0;\nbar.red.or.pred q, %2, 128, p;\nselp.b32 %0, 1, 0, q;\n}\n"
            : "=r"(last)
            : "r"(last), "r"(id)
            : "memory");
        if (!last) {
            return false;
        }
        __threadfence();
        // The parts in their order, whoever puts them together: the result does not depend on time.
        float most[2] = {-INFINITY, -INFINITY};
#pragma unroll 4
        for (int part = 0; part < piece.parts; ++part) { // several on their way together
            const float4 other = __ldcg(place(part) + 16 * kStatThreads);
            most[0] = fmaxf(most[0], other.x);
            most[1] = fmaxf(most[1], other.y);
        }
#pragma unroll
        for (int i = 0; i < 64; ++i) {
            sums[i] = 0;
        }
        total[0] = total[1] = 0;
#pragma unroll 2
        for (int part = 0; part < piece.parts; ++part) {
            const float4* const from = place(part);
            const float4 other = __ldcg(from + 16 * kStatThreads);
            const float weight[2] = {exp2_fast((other.x - most[0]) * scale_log2),
                                     exp2_fast((other.y - most[1]) * scale_log2)};
            total[0] = fmaf(weight[0], other.z, total[0]);
            total[1] = fmaf(weight[1], other.w, total[1]);
#pragma unroll
            for (int i = 0; i < 16; ++i) {
                const float4 x = __ldcg(from + i * kStatThreads);
                sums[4 * i] = fmaf(weight[0], x.x, sums[4 * i]);
                sums[4 * i + 1] = fmaf(weight[0], x.y, sums[4 * i + 1]);
                sums[4 * i + 2] = fmaf(weight[1], x.z, sums[4 * i + 2]);
                sums[4 * i + 3] = fmaf(weight[1], x.w, sums[4 * i + 3]);
            }
        }
        peak[0] = most[0];
        peak[1] = most[1];
        return true;
    }

    __device__ void store(const Piece& piece) {
        const int head = piece.tile / launch.query_tiles;
        const int lane = thread % 32, quad = thread % 4;
        const int first = piece.tile % launch.query_tiles * T::kQueries + group * 64 + thread / 32 * 16 + lane / 4;
#pragma unroll
        for (int row = 0; row < 2; ++row) {
            const int query = first + 8 * row;
            const float inverse = (T::kE4m3 ? launch.factors->descale[2] : 1.0F) / total[row];
            const bool inside = query < launch.queries;
            __nv_bfloat16* const target = launch.out + query * launch.out_row + head * kChannels + quad * 8;
            if (launch.lse && inside && quad == 0) {
                launch.lse[static_cast<long long>(head) * launch.queries + query] =
                    fmaf(peak[row], scale_log2, log2f(total[row]) - (T::kE4m3 ? kLog2Larger : 0.0F)) * kLn2;
            }
            // Four lanes hold two columns each of every eight; each of them gets eight columns that lie together.
#pragma unroll
            for (int block = 0; block < 4; ++block) {
                std::uint32_t pair[4];
#pragma unroll
                for (int i = 0; i < 4; ++i) {
                    const int at = (block * 4 + i) * 4 + 2 * row;
                    pair[i] = two_bf16(sums[at] * inverse, sums[at + 1] * inverse);
                }
                const bool odd = quad & 1, high = quad & 2;
                const std::uint32_t low = __shfl_xor_sync(0xffffffffU, odd ? pair[0] : pair[1], 1);
                const std::uint32_t up = __shfl_xor_sync(0xffffffffU, odd ? pair[2] : pair[3], 1);
                // Eights 0 and 2 (even lanes) or 1 and 3 (odd lanes), the pairs of two lanes.
                const std::uint32_t a0 = odd ? low : pair[0], a1 = odd ? pair[1] : low;
                const std::uint32_t b0 = odd ? up : pair[2], b1 = odd ? pair[3] : up;
                const std::uint32_t c0 = __shfl_xor_sync(0xffffffffU, high ? a0 : b0, 2);
                const std::uint32_t c1 = __shfl_xor_sync(0xffffffffU, high ? a1 : b1, 2);
                const uint4 eight = high ? make_uint4(c0, c1, b0, b1) : make_uint4(a0, a1, c0, c1);
                if (inside) {
                    *reinterpret_cast<uint4*>(target + block * 32) = eight;
                }
            }
        }
    }
};

template <class T>
__global__ void __launch_bounds__(T::kThreads, 1) attend_tiles(const __grid_constant__ Launch launch) {
    extern __shared__ unsigned char memory[];
    const std::uint32_t queries = keep((shared_address(memory) + 1023U) & ~1023U);
    const std::uint32_t keys = queries + T::kQueryBytes;
    const std::uint32_t values = keys + T::kStages * T::kTileBytes;
    const Barriers<T::kStages> barriers{values + T::kStages * T::kTileBytes};
    if (threadIdx.x == 0) {
        barrier_init(barriers.full_q(), 1);
        barrier_init(barriers.empty_q(), 4 * T::kGroups);
        for (int i = 0; i < T::kStages; ++i) {
            barrier_init(barriers.full_k(i), 1);
            barrier_init(barriers.full_v(i), 1);
            barrier_init(barriers.empty_k(i), 4 * T::kGroups);
            barrier_init(barriers.empty_v(i), 4 * T::kGroups);
        }
        barrier_fence();
    }
    __syncthreads();
    wait_for_earlier();
    let_next_begin();
    const int group = static_cast<int>(keep(threadIdx.x / 128));
    if (group == T::kGroups) {
        give_registers<T::kFeederRegisters>();
        if (threadIdx.x % 128 == 0) {
            prefetch_map(launch.q);
            prefetch_map(launch.k);
            feed<T>(launch, queries, keys, values, barriers);
        }
    } else {
        take_registers<T::kWorkerRegisters>();
        Worker<T> worker(launch, group, queries, keys, values, barriers);
        if (group == T::kGroups - 1) {
            worker.pass_turn(); // the first group begins
        }
        Piece piece;
        for (int i = 0; find_piece(launch.work, static_cast<int>(blockIdx.x), i, piece); ++i) {
            worker.attend(piece);
        }
    }
}

} // namespace wander::quant::cuda::hopper
