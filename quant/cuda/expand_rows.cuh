#pragma once
// The kernel that expands pages: reads eight channels at a time from any source, turns them, writes them. Include from
// the .cu of a format only.
//
// A Source is a small struct, copied to the device, with
//     const T* page;  // set by the kernel to the run's source; or a function begin(const ExpandRun&), called in its
//     place
//     __device__ Eight load(int row, int head, int channel) const;
// un-rotated values of channels [channel, channel + 8) of a stored row. head_dim / 8 neighbouring lanes of a warp call
// it together for the same row and head, lane after lane the next eight channels, so a source whose channels depend on
// each other may shuffle among them (rotations: lane_group_mask). A source that gains by reading several rows at once
// has beside it
//     static constexpr int kRows;
//     __device__ void load_rows(const int (&rows)[kRows], int head, int channel, Eight (&values)[kRows]) const;

#include "quant/cuda/expand.hpp"
#include "quant/cuda/rows.cuh"

namespace wander::quant::cuda {

inline constexpr int kExpandThreads = 256;
inline constexpr int kExpandHeads = 4;  // heads that a thread reads, so that its angles are read once
inline constexpr int kExpandAtOnce = 2; // of them, so that their values are on their way together

// The lanes that hold one row of one head, `groups` = head_dim / 8 of them; a power of two up to 32.
__device__ inline unsigned lane_group_mask(int groups) {
    const unsigned lane = threadIdx.x % 32U;
    const unsigned first = lane / static_cast<unsigned>(groups) * static_cast<unsigned>(groups);
    return groups >= 32 ? 0xffffffffU : ((1U << groups) - 1U) << first;
}

template <class Source>
__device__ inline void begin_run(Source& source, const ExpandRun& run) {
    if constexpr (requires { source.begin(run); }) {
        source.begin(run);
    } else {
        source.page = static_cast<decltype(source.page)>(run.source);
    }
}

// Cosines and sines of the four pairs from `pair` on; a multiple of four.
__device__ inline void load_angles(float2 (&turn)[4], const DeviceTables& tables, int head_dim, int latent, int token,
                                   int pair) {
    const int pairs = head_dim / 2;
    const auto* time = reinterpret_cast<const float2*>(tables.time) + static_cast<long long>(latent) * pairs;
    const auto* space = reinterpret_cast<const float2*>(tables.space) + static_cast<long long>(token) * pairs;
    if (pair + 4 <= tables.time_pairs || pair >= tables.time_pairs) {
        const auto* four = reinterpret_cast<const float4*>((pair < tables.time_pairs ? time : space) + pair);
        const float4 a = four[0], b = four[1];
        turn[0] = make_float2(a.x, a.y);
        turn[1] = make_float2(a.z, a.w);
        turn[2] = make_float2(b.x, b.y);
        turn[3] = make_float2(b.z, b.w);
        return;
    }
    for (int i = 0; i < 4; ++i) {
        turn[i] = pair + i < tables.time_pairs ? time[pair + i] : space[pair + i];
    }
}

template <class Source>
constexpr int rows_at_once() {
    if constexpr (requires { Source::kRows; }) {
        return Source::kRows;
    } else {
        return 1;
    }
}

// A row's value of one head, turned; and what its projective branch has.
template <class T>
__device__ inline void write_value(T* to, const ExpandJob& job, const Eight& value, const float2 (&turn)[4],
                                   const float* matrix, float scale) {
    if (job.rotary) {
        Eight turned;
        for (int p = 0; p < 4; ++p) {
            turned.x[2 * p] = value.x[2 * p] * turn[p].x - value.x[2 * p + 1] * turn[p].y;
            turned.x[2 * p + 1] = value.x[2 * p + 1] * turn[p].x + value.x[2 * p] * turn[p].y;
        }
        store_eight(to, turned, scale);
    } else {
        store_eight(to, value, scale);
    }
    if (job.matrices) {
        store_eight(to + static_cast<long long>(job.head_count) * job.head_dim, turn_eight(matrix, value), scale);
    }
}

// Several rows of one head for a thread.
template <class T, class Source>
__global__ void __launch_bounds__(kExpandThreads)
    expand_several_rows(Source source, ExpandJob job, DeviceTables tables) {
    constexpr int kRows = Source::kRows;
    const int groups = job.head_dim / 8;
    const long long index = static_cast<long long>(blockIdx.x) * kExpandThreads + threadIdx.x;
    const int first_row = static_cast<int>(index / groups) * kRows;
    const ExpandRun& run = job.runs[blockIdx.z];
    if (first_row >= run.rows) {
        return;
    }
    begin_run(source, run);
    const int channel = static_cast<int>(index % groups) * 8;
    const int head = static_cast<int>(blockIdx.y);
    int rows[kRows];
#pragma unroll
    for (int r = 0; r < kRows; ++r) { // behind the last row: that row again
        const int row = first_row + r < run.rows ? first_row + r : run.rows - 1;
        rows[r] = run.first_row + row;
    }
    Eight values[kRows];
    source.load_rows(rows, job.first_head + head, channel, values);
    const float scale = job.inverse_scale ? *job.inverse_scale : 1.0F;
    const int branches = job.matrices ? 2 : 1;
    const long long out_row =
        job.out_row_stride > 0 ? job.out_row_stride : static_cast<long long>(branches) * job.head_count * job.head_dim;
    T* const target = static_cast<T*>(job.out) + (run.out_row + first_row) * out_row + head * job.head_dim + channel;
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
        if (first_row + r >= run.rows) {
            return;
        }
        const int token = run.first_token + first_row + r;
        const int latent = run.table_latent + token / tables.tokens_per_latent;
        float2 turn[4] = {};
        if (job.rotary) {
            load_angles(turn, tables, job.head_dim, latent, token % tables.tokens_per_latent, channel / 2);
        }
        const float* const matrix = job.matrices ? job.matrices + static_cast<long long>(latent) * 16 : nullptr;
        write_value(target + r * out_row, job, values[r], turn, matrix, scale);
    }
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
    begin_run(source, run);
    const int channel = static_cast<int>(index % groups) * 8;
    const int token = run.first_token + row;
    const int latent = run.table_latent + token / tables.tokens_per_latent;

    // The first heads' values are on their way while the angles are read.
    const int first = static_cast<int>(blockIdx.y) * kExpandHeads;
    const int heads = job.head_count - first < kExpandHeads ? job.head_count - first : kExpandHeads;
    Eight values[kExpandAtOnce];
#pragma unroll
    for (int i = 0; i < kExpandAtOnce; ++i) {
        if (i < heads) {
            values[i] = source.load(run.first_row + row, job.first_head + first + i, channel);
        }
    }
    float2 turn[4];
    if (job.rotary) {
        load_angles(turn, tables, job.head_dim, latent, token % tables.tokens_per_latent, channel / 2);
    }
    float matrix[16];
    if (job.matrices) {
        for (int i = 0; i < 16; ++i) {
            matrix[i] = job.matrices[static_cast<long long>(latent) * 16 + i];
        }
    }
    const float scale = job.inverse_scale ? *job.inverse_scale : 1.0F;

    const int branches = job.matrices ? 2 : 1;
    const long long out_row =
        job.out_row_stride > 0 ? job.out_row_stride : static_cast<long long>(branches) * job.head_count * job.head_dim;
    T* const target = static_cast<T*>(job.out) + (run.out_row + row) * out_row + first * job.head_dim + channel;
#pragma unroll
    for (int at = 0; at < kExpandHeads; at += kExpandAtOnce) {
        if (at > 0) {
#pragma unroll
            for (int i = 0; i < kExpandAtOnce; ++i) {
                if (at + i < heads) {
                    values[i] = source.load(run.first_row + row, job.first_head + first + at + i, channel);
                }
            }
        }
#pragma unroll
        for (int i = 0; i < kExpandAtOnce; ++i) {
            if (at + i >= heads) {
                return;
            }
            write_value(target + (at + i) * job.head_dim, job, values[i], turn, matrix, scale);
        }
    }
}

// Where a row stands among the 16 columns it belongs to, and which row stands there.
__device__ inline int place_of_row(int row) { return row % 8 / 2 * 4 + row / 8 % 2 * 2 + row % 2; }
__device__ inline int row_of_place(int place) { return place / 2 % 2 * 8 + place / 4 * 2 + place % 2; }

inline constexpr int kColumnTile = 128; // rows, that is columns of out, of one block

// Rows of one head become columns of bytes: 128 of them and all channels pass through shared memory.
template <class Source>
__global__ void __launch_bounds__(kExpandThreads) expand_columns(Source source, ExpandJob job, DeviceTables tables) {
    __shared__ unsigned words[128][kColumnTile / 4]; // [channel][word of columns, see word_at]
    // Eight channels of a row go to eight rows of `words`: the shift spreads lanes over the banks.
    const auto word_at = [](int channel, int word) { return word ^ (channel / 8); };
    const ExpandRun& run = job.runs[blockIdx.z];
    const int first_column = (run.out_row / kColumnTile + static_cast<int>(blockIdx.x)) * kColumnTile;
    const int end = run.out_row + run.rows;
    if (first_column >= end) {
        return;
    }
    begin_run(source, run);
    const int groups = job.head_dim / 8;
    const int head = static_cast<int>(blockIdx.y);
    const float scale = job.inverse_scale ? *job.inverse_scale : 1.0F;
    const int filled = end == job.out_rows ? (end + 15) / 16 * 16 : end; // zeros behind the last row
    const int branches = job.matrices ? 2 : 1;
    for (int branch = 0; branch < branches; ++branch) {
        const int per_pass = kExpandThreads / groups;
        for (int i = static_cast<int>(threadIdx.x) / groups; i < kColumnTile; i += per_pass) {
            const int row = first_column + i - run.out_row;
            const int channel = static_cast<int>(threadIdx.x) % groups * 8;
            Eight value{};
            // All lanes load, for sources that shuffle among them.
            const int inside = row < 0 ? 0 : row >= run.rows ? run.rows - 1 : row;
            const Eight loaded = source.load(run.first_row + inside, job.first_head + head, channel);
            if (row == inside) {
                value = loaded;
                if (branch == 1) {
                    const int latent = run.table_latent + (run.first_token + row) / tables.tokens_per_latent;
                    value = turn_eight(job.matrices + static_cast<long long>(latent) * 16, value);
                }
            }
            __nv_fp8_e4m3 bytes[8];
            store_eight(bytes, value, scale);
            const int place = i / 16 * 16 + place_of_row(i % 16);
#pragma unroll
            for (int c = 0; c < 8; ++c) {
                auto* const word = reinterpret_cast<__nv_fp8_e4m3*>(&words[channel + c][word_at(channel, place / 4)]);
                word[place % 4] = bytes[c];
            }
        }
        __syncthreads();
        const int chunks = kColumnTile / 16;
        for (int i = static_cast<int>(threadIdx.x); i < job.head_dim * chunks; i += kExpandThreads) {
            const int channel = i / chunks, chunk = i % chunks;
            const int column = first_column + chunk * 16;
            if (column >= filled || column + 16 <= run.out_row) {
                continue;
            }
            unsigned four[4];
#pragma unroll
            for (int w = 0; w < 4; ++w) {
                four[w] = words[channel][word_at(channel, chunk * 4 + w)];
            }
            auto* const target =
                static_cast<unsigned char*>(job.out) +
                ((static_cast<long long>(branch) * job.head_count + head) * job.head_dim + channel) * job.out_columns +
                column;
            if (column >= run.out_row && column + 16 <= filled) {
                *reinterpret_cast<uint4*>(target) = make_uint4(four[0], four[1], four[2], four[3]);
                continue;
            }
            for (int place = 0; place < 16; ++place) { // the others belong to the run beside this one
                const int at = column + row_of_place(place);
                if (at >= run.out_row && at < filled) {
                    target[place] = static_cast<unsigned char>(four[place / 4] >> (place % 4 * 8));
                }
            }
        }
        __syncthreads();
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
    if (job.out_columns > 0) {
        if (job.element != Element::e4m3 || job.rotary || job.head_dim > 128 ||
            kExpandThreads % (job.head_dim / 8) != 0) {
            return false;
        }
        const dim3 tiles(static_cast<unsigned>(rows / kColumnTile + 2), static_cast<unsigned>(job.head_count),
                         static_cast<unsigned>(job.run_count));
        expand_columns<Source><<<tiles, kExpandThreads, 0, stream>>>(source, job, tables);
        return true;
    }
    const auto launch = [&]<class T>(T*) {
        if constexpr (rows_at_once<Source>() > 1) {
            constexpr int kRows = rows_at_once<Source>();
            const int fewer = (rows + kRows - 1) / kRows * (job.head_dim / 8);
            const dim3 several(static_cast<unsigned>((fewer + kExpandThreads - 1) / kExpandThreads),
                               static_cast<unsigned>(job.head_count), static_cast<unsigned>(job.run_count));
            expand_several_rows<T, Source><<<several, kExpandThreads, 0, stream>>>(source, job, tables);
        } else {
            expand_rows<T, Source><<<blocks, kExpandThreads, 0, stream>>>(source, job, tables);
        }
    };
    switch (job.element) {
        case Element::float32: launch(static_cast<float*>(nullptr)); return true;
        case Element::bfloat16: launch(static_cast<__nv_bfloat16*>(nullptr)); return true;
        case Element::e4m3: launch(static_cast<__nv_fp8_e4m3*>(nullptr)); return true;
    }
    return false;
}

} // namespace wander::quant::cuda
