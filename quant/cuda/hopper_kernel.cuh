#pragma once
// Attention of 128 channels in BF16 or E4M3 on Hopper. Device code for sm_90a alone; quant/cuda/hopper_attend.hpp says
// what it computes.
//
// A thread block holds kGroups warpgroups of 64 queries each (hopper_worker.cuh) and one warpgroup whose first thread
// feeds them tiles of keys and values through the copy engine (hopper_feed.cuh). A warpgroup keeps scores,
// probabilities and its result in registers. Its products with the values of a tile run while it makes probabilities of
// the next tile's scores, and the warpgroups take turns in starting products, so that the tensor cores always have
// some.
//
// Where kBlocks is two, blocks go in pairs (clusters) that attend to the same keys with the halves of their queries:
// each copies half of every tile to both.
//
// E4M3 products add up with few bits, so the products of every two tiles of values begin at zero and are added to the
// result in float: that is where the result fades anyway. Probabilities are stored as e4m3_probabilities.hpp says, and
// a block of ones behind each tile of values makes the same products their totals.

#include "quant/cuda/chained_launch.cuh"
#include "quant/cuda/hopper_feed.cuh"
#include "quant/cuda/hopper_softmax.cuh"
#include "quant/cuda/hopper_worker.cuh"

namespace wander::quant::cuda::hopper {

template <class T>
__global__ void __launch_bounds__(T::kThreads, 1) attend_tiles(const __grid_constant__ Launch launch) {
    extern __shared__ unsigned char memory[];
    const std::uint32_t queries = keep((shared_address(memory) + 1023U) & ~1023U);
    const std::uint32_t keys = queries + T::kQueryBytes;
    const std::uint32_t values = keys + T::kStages * T::kTileBytes;
    const Barriers<T::kStages> barriers{values + T::kStages * T::kValueTileBytes};
    if constexpr (T::kE4m3) {
        constexpr unsigned kWords = T::kOnesBytes / 4; // of a stage
        for (unsigned i = threadIdx.x; i < T::kStages * kWords; i += T::kThreads) {
            const std::uint32_t behind = values + i / kWords * T::kValueTileBytes + T::kTileBytes;
            store_shared(behind + i % kWords * 4, 0x38383838U); // four times 1
        }
        products_see_stores();
    }
    if (threadIdx.x == 0) {
        barrier_init(barriers.full_q(), 1);
        barrier_init(barriers.empty_q(), 4 * T::kGroups);
        for (int i = 0; i < T::kStages; ++i) {
            barrier_init(barriers.full_k(i), 1);
            barrier_init(barriers.full_v(i), 1);
            barrier_init(barriers.empty_k(i), 4 * T::kGroups * T::kBlocks);
            barrier_init(barriers.empty_v(i), 4 * T::kGroups * T::kBlocks);
        }
        barrier_fence();
    }
    if constexpr (T::kBlocks == 1) {
        __syncthreads();
    } else {
        cluster_sync();
    }
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
        for (int i = 0; find_piece(launch.work, cluster_index<T>(), i, piece); ++i) {
            worker.attend(piece);
        }
    }
    if constexpr (T::kBlocks > 1) {
        cluster_sync(); // nothing more is written to this block's memory
    }
}

} // namespace wander::quant::cuda::hopper
