#pragma once
// The kernel that expands pages: reads eight channels at a time from any source, turns them, writes them. Include from
// the .cu of a format only.
//
// A Source is a small struct, copied to the device, with
//     const T* page;  // set by the kernel to the run's source
//     __device__ Eight load(int row, int head, int channel) const;
// un-rotated values of channels [channel, channel + 8) of a stored row. head_dim / 8 neighbouring lanes of a warp call
// it together for the same row and head, lane after lane the next eight channels, so a source whose channels depend on
// each other may shuffle among them (rotations: lane_group_mask).

#include "quant/cuda/expand.hpp"
#include "quant/cuda/rows.cuh"

namespace wander::quant::cuda {

inline constexpr int kExpandThreads = 256;
inline constexpr int kExpandHeads = 4; // heads a thread reads one after another, so that its angles are read once

// The lanes that hold one row of one head, `groups` = head_dim / 8 of them; a power of two up to 32.
__device__ inline unsigned lane_group_mask(int groups) {
    const unsigned lane = threadIdx.x % 32U;
    const unsigned first = lane / static_cast<unsigned>(groups) * static_cast<unsigned>(groups);
    return groups >= 32 ? 0xffffffffU : ((1U << groups) - 1U) << first;
}

template <class T, class Source>
__global__ void __launch_bounds__(kExpandThreads) expand_rows(Source source, ExpandJob job, DeviceTables tables) {
    const int groups = job.head_dim / 8;
    const long long index = static_cast<long long>(blockIdx.x) * kExpandThreads + threadIdx.x;
    const int row = static_cast<int>(index / groups);
    const ExpandRun& run = job.runs[blockIdx.z];
    if (row >= run.rows) {
        return;
    }
    source.page = static_cast<decltype(source.page)>(run.source);
    const int channel = static_cast<int>(index % groups) * 8;
    const int token = run.first_token + row;
    const int latent = run.table_latent + token / tables.tokens_per_latent;

    float2 turn[4];
    if (job.rotary) {
        const int within = token % tables.tokens_per_latent;
        const int pairs = job.head_dim / 2;
        const auto* time = reinterpret_cast<const float2*>(tables.time) + static_cast<long long>(latent) * pairs;
        const auto* space = reinterpret_cast<const float2*>(tables.space) + static_cast<long long>(within) * pairs;
        for (int i = 0; i < 4; ++i) {
            const int pair = channel / 2 + i;
            turn[i] = pair < tables.time_pairs ? time[pair] : space[pair];
        }
    }
    float matrix[16];
    if (job.matrices) {
        for (int i = 0; i < 16; ++i) {
            matrix[i] = job.matrices[static_cast<long long>(latent) * 16 + i];
        }
    }
    const float scale = job.inverse_scale ? *job.inverse_scale : 1.0F;

    const int branches = job.matrices ? 2 : 1;
    const int first = static_cast<int>(blockIdx.y) * kExpandHeads;
    const long long out_row =
        job.out_row_stride > 0 ? job.out_row_stride : static_cast<long long>(branches) * job.head_count * job.head_dim;
    T* target = static_cast<T*>(job.out) + (run.out_row + row) * out_row + first * job.head_dim + channel;
#pragma unroll
    for (int i = 0; i < kExpandHeads; ++i, target += job.head_dim) {
        if (first + i >= job.head_count) {
            return;
        }
        const Eight value = source.load(run.first_row + row, job.first_head + first + i, channel);
        if (job.rotary) {
            Eight turned;
            for (int p = 0; p < 4; ++p) {
                turned.x[2 * p] = value.x[2 * p] * turn[p].x - value.x[2 * p + 1] * turn[p].y;
                turned.x[2 * p + 1] = value.x[2 * p + 1] * turn[p].x + value.x[2 * p] * turn[p].y;
            }
            store_eight(target, turned, scale);
        } else {
            store_eight(target, value, scale);
        }
        if (job.matrices) {
            store_eight(target + static_cast<long long>(job.head_count) * job.head_dim, turn_eight(matrix, value),
                        scale);
        }
    }
}

// False when `job.element` has no kernel.
template <class Source>
bool expand_source(const Source& source, const ExpandJob& job, Stream stream) {
    int rows = 0;
    for (int i = 0; i < job.run_count; ++i) {
        rows = job.runs[i].rows > rows ? job.runs[i].rows : rows;
    }
    if (rows == 0) {
        return true;
    }
    const long long threads = static_cast<long long>(rows) * (job.head_dim / 8);
    const dim3 blocks(static_cast<unsigned>((threads + kExpandThreads - 1) / kExpandThreads),
                      static_cast<unsigned>((job.head_count + kExpandHeads - 1) / kExpandHeads),
                      static_cast<unsigned>(job.run_count));
    const DeviceTables tables = job.tables ? *job.tables : DeviceTables{};
    switch (job.element) {
        case Element::float32:
            expand_rows<float, Source><<<blocks, kExpandThreads, 0, stream>>>(source, job, tables);
            return true;
        case Element::bfloat16:
            expand_rows<__nv_bfloat16, Source><<<blocks, kExpandThreads, 0, stream>>>(source, job, tables);
            return true;
        case Element::e4m3:
            expand_rows<__nv_fp8_e4m3, Source><<<blocks, kExpandThreads, 0, stream>>>(source, job, tables);
            return true;
    }
    return false;
}

} // namespace wander::quant::cuda
