#pragma once
// What feeds Hopper's attention: the first thread of the last warpgroup copies queries, keys and values in the order in
// which the workers read them. Where a cluster has two blocks, each one's thread copies half of every tile to both.
// Device code for sm_90a alone.

#include "quant/cuda/hopper_tile.cuh"

namespace wander::quant::cuda::hopper {

// This block's share of a tile's rows of a head, to every block of the cluster: all their channels, 128 bytes of each
// row after the other.
template <class T>
__device__ inline void copy_share(std::uint32_t target, const CUtensorMap& map, std::uint32_t barrier, int head,
                                  int row, int block) {
    const int first = block * (T::kKeys / T::kBlocks);
    for (int half = 0; half < T::kHalves; ++half) {
        const unsigned at = static_cast<unsigned>(half * T::kKeys + first) * kHalfBytes;
        if constexpr (T::kBlocks == 1) {
            copy_box(target + at, map, barrier, half * kHalf, head, row + first);
        } else {
            copy_box_to_both(target + at, map, barrier, half * kHalf, head, row + first);
        }
    }
}

template <class T>
__device__ inline void feed(const Launch& launch, std::uint32_t queries, std::uint32_t keys, std::uint32_t values,
                            Barriers<T::kStages> barriers) {
    const int block = block_of_cluster<T>();
    Phases q_phase, k_phases, v_phases;
    const auto load_q = [&](int head, int row) {
        barrier_wait(barriers.empty_q(), q_phase.take(0) ^ 1U);
        barrier_expect(barriers.full_q(), T::kQueryBytes);
        for (int half = 0; half < T::kHalves; ++half) {
            const std::uint32_t target = queries + static_cast<unsigned>(half) * (T::kQueryBytes / T::kHalves);
            copy_box(target, launch.q, barriers.full_q(), half * kHalf, head, row);
        }
    };
    const auto load_k = [&](int stage, int head, int tile, int segment) {
        barrier_wait(barriers.empty_k(stage), k_phases.take(stage) ^ 1U);
        const std::uint32_t full = barriers.full_k(stage);
        const std::uint32_t target = keys + static_cast<unsigned>(stage) * T::kTileBytes;
        const int row = launch.first_row[segment] + (tile - launch.first_tile[segment]) * T::kKeys;
        barrier_expect(full, T::kTileBytes);
        copy_share<T>(target, launch.k, full, head, row, block);
    };
    const auto load_v = [&](int stage, int head, int tile, int segment) {
        barrier_wait(barriers.empty_v(stage), v_phases.take(stage) ^ 1U);
        const std::uint32_t full = barriers.full_v(stage);
        const std::uint32_t target = values + static_cast<unsigned>(stage) * T::kValueTileBytes;
        const int row = (tile - launch.first_tile[segment]) * T::kKeys;
        barrier_expect(full, T::kTileBytes);
        if constexpr (T::kE4m3) {
            copy_box(target, launch.v[segment], full, row, 0, head);
        } else {
            copy_share<T>(target, launch.v[segment], full, head, row, block);
        }
    };
    Piece piece;
#pragma unroll 1
    for (int i = 0; find_piece(launch.work, cluster_index<T>(), i, piece); ++i) {
        const int head = piece.tile / launch.query_tiles;
        const int first_query = piece.tile % launch.query_tiles * T::kQueries + block * T::kBlockQueries;
        int segment = segment_of(launch, piece.last - 1, launch.segments - 1);
        int stage = 0;
        load_k(stage, head, piece.last - 1, segment);
        load_q(head, first_query);
#pragma unroll 1
        for (int tile = piece.last - 2; tile >= piece.first; --tile) {
            const int before = segment, stage_before = stage;
            segment = segment_of(launch, tile, segment);
            stage = (stage + 1) % T::kStages;
            load_k(stage, head, tile, segment);
            load_v(stage_before, head, tile + 1, before);
        }
        load_v(stage, head, piece.first, segment);
    }
}

} // namespace wander::quant::cuda::hopper
