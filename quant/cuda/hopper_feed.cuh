#pragma once
// What feeds Hopper's attention: the first thread of the last warpgroup copies queries, keys and values in the order in
// which the workers read them. Device code for sm_90a alone.

#include "quant/cuda/hopper_tile.cuh"

namespace wander::quant::cuda::hopper {

// Rows of a head from `row` on: all their channels, 128 bytes of each row after the other.
template <class T>
__device__ inline void copy_rows(std::uint32_t target, unsigned bytes, const CUtensorMap& map, std::uint32_t barrier,
                                 int head, int row) {
    for (int half = 0; half < T::kHalves; ++half) {
        copy_box(target + static_cast<unsigned>(half) * (bytes / T::kHalves), map, barrier, half * kHalf, head, row);
    }
}

template <class T>
__device__ inline void feed(const Launch& launch, std::uint32_t queries, std::uint32_t keys, std::uint32_t values,
                            Barriers<T::kStages> barriers) {
    Phases q_phase, k_phases, v_phases;
    const auto load_q = [&](int head, int row) {
        barrier_wait(barriers.empty_q(), q_phase.take(0) ^ 1U);
        barrier_expect(barriers.full_q(), T::kQueryBytes);
        copy_rows<T>(queries, T::kQueryBytes, launch.q, barriers.full_q(), head, row);
    };
    const auto load_k = [&](int stage, int head, int tile, int segment) {
        barrier_wait(barriers.empty_k(stage), k_phases.take(stage) ^ 1U);
        const std::uint32_t full = barriers.full_k(stage);
        const std::uint32_t target = keys + static_cast<unsigned>(stage) * T::kTileBytes;
        const int row = launch.first_row[segment] + (tile - launch.first_tile[segment]) * T::kKeys;
        barrier_expect(full, T::kTileBytes);
        copy_rows<T>(target, T::kTileBytes, launch.k, full, head, row);
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
            copy_rows<T>(target, T::kTileBytes, launch.v[segment], full, head, row);
        }
    };
    Piece piece;
#pragma unroll 1
    for (int i = 0; find_piece(launch.work, static_cast<int>(blockIdx.x), i, piece); ++i) {
        const int head = piece.tile / launch.query_tiles;
        const int first_query = piece.tile % launch.query_tiles * T::kQueries;
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
