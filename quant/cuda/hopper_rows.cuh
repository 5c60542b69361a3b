#pragma once
// What a warpgroup of Hopper's attention makes of 64 queries: weighted sums of values with peak and total of each row,
// and what becomes of them at the end of a piece of work. Device code for sm_90a alone.
//
// A thread holds two rows, as hopper_mma.cuh lays accumulators out: sums[i] is of row i / 2 % 2.

#include "quant/cuda/e4m3_probabilities.hpp"
#include "quant/cuda/hopper_numbers.cuh"
#include "quant/cuda/hopper_tile.cuh"
#include "quant/cuda/rows.cuh"

namespace wander::quant::cuda::hopper {

template <class T>
struct Rows {
    float sums[64];   // not yet divided
    float peak[2];    // what a row's probabilities are against: no score is larger by far (E4M3: known at the end)
    float total[2];   // of the row's probabilities; until finish(): of those that this thread made
    float scale_log2; // of stored scores

    // The totals of four threads become those of the row, the row is written or left for others. group: of the cluster.
    __device__ void finish(const Launch& launch, const Piece& piece, int group, int thread) {
        if constexpr (!T::kE4m3) {
#pragma unroll
            for (int row = 0; row < 2; ++row) {
                total[row] += __shfl_xor_sync(0xffffffffU, total[row], 1);
                total[row] += __shfl_xor_sync(0xffffffffU, total[row], 2);
            }
        }
        if (piece.parts == 1 || put_together(launch, piece, group, thread)) {
            store(launch, piece, group, thread);
        }
    }

private:
    // Leaves this part of a shared tile for others. True for the block that is done last: it then holds the whole.
    __device__ bool put_together(const Launch& launch, const Piece& piece, int group, int thread) {
        const int sections = launch.work.sections;
        // Of the parts behind the sections: place_of() goes up by one from each to the next.
        const int behind = piece.parts > sections ? place_of(launch.work, piece.shared, sections) - sections : 0;
        const auto place = [&](int part) {
            const int index = part < sections ? part * launch.work.shared + piece.shared : behind + part;
            const int at = index * T::kGroups * T::kBlocks + group;
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
        const int id = 1 + T::kGroups + (group & (T::kGroups - 1)); // of the block
        named_sync(id, 128);
        unsigned* const count = launch.counts + piece.shared * T::kGroups * T::kBlocks + group;
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

    __device__ void store(const Launch& launch, const Piece& piece, int group, int thread) const {
        const int head = piece.tile / launch.query_tiles;
        const bool second = head >= launch.branch_heads; // branch
        const long long place =
            second ? launch.out_branch + (head - launch.branch_heads) * kChannels : head * kChannels;
        const int lane = thread % 32, quad = thread % 4;
        const int first = piece.tile % launch.query_tiles * T::kQueries + group * 64 + thread / 32 * 16 + lane / 4;
#pragma unroll
        for (int row = 0; row < 2; ++row) {
            const int query = first + 8 * row;
            const float inverse = (T::kE4m3 ? launch.factors->descale[2] : 1.0F) / total[row];
            const bool inside = query < launch.queries;
            __nv_bfloat16* const target = launch.out + query * launch.out_row + place + quad * 8;
            float matrix[16] = {};
            if (second && inside) {
                const float* const from = launch.matrices + query / launch.tokens_per_latent * 16;
#pragma unroll
                for (int i = 0; i < 16; ++i) {
                    matrix[i] = __ldg(from + i);
                }
            }
            if (launch.lse && inside && quad == 0) {
                launch.lse[static_cast<long long>(head) * launch.queries + query] =
                    fmaf(peak[row], scale_log2, log2f(total[row]) - (T::kE4m3 ? kLog2Probability : 0.0F)) * kLn2;
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
                    *reinterpret_cast<uint4*>(target + block * 32) =
                        second ? bf16_of_eight(turn_eight(matrix, eight_of_bf16(eight))) : eight;
                }
            }
        }
    }
};

} // namespace wander::quant::cuda::hopper
