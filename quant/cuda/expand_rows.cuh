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
// each other may shuffle among them (rotations: lane_group_mask). A source that gains by reading several rows at once,
// which must not shuffle then, has beside it
//     static constexpr int kBlocks; // of one multiprocessor at a time: what registers allow
//     template <int kRows>
//     __device__ void load_rows(const int (&rows)[kRows], int head, int channel, Eight (&values)[kRows]) const;

#include "quant/cuda/chained_launch.cuh"
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

// What a run's rows have in common.
template <class T>
struct Target {
    T* out;
    float scale;
    bool rotary;
    __device__ Target(const ExpandJob& job, unsigned run) {
        const bool values = static_cast<int>(run) >= job.run_count - job.value_runs && job.value_runs > 0;
        const float* const factor = values ? job.inverse_scale_of_values : job.inverse_scale;
        out = static_cast<T*>(values ? job.out_of_values : job.out);
        scale = factor ? *factor : 1.0F;
        rotary = job.rotary && !values;
    }
};

// A row's value of one head, turned; and what its projective branch has.
template <bool kTwoBranches, class T>
__device__ inline void write_value(T* to, const ExpandJob& job, bool rotary, const Eight& value,
                                   const float2 (&turn)[4], const float* matrix, float scale) {
    if (rotary) {
        Eight turned;
#pragma unroll
        for (int p = 0; p < 4; ++p) {
            turned.x[2 * p] = value.x[2 * p] * turn[p].x - value.x[2 * p + 1] * turn[p].y;
            turned.x[2 * p + 1] = value.x[2 * p + 1] * turn[p].x + value.x[2 * p] * turn[p].y;
        }
        store_eight(to, turned, scale);
    } else {
        store_eight(to, value, scale);
    }
    if (kTwoBranches && job.matrices) {
        store_eight(to + static_cast<long long>(job.head_count) * job.head_dim, turn_eight(matrix, value), scale);
    }
}

// Several rows for a thread, which reads `heads_each` heads of them: the same place in consecutive latents, so that the
// angles of places are read once, and none is read again for another head. A run of one latent or less has its rows in
// kRows pieces that lie together.
template <class T, int kRows, bool kTwoBranches, class Source>
__global__ void __launch_bounds__(kExpandThreads, kTwoBranches ? 1 : Source::kBlocks)
    expand_several_rows(Source source, ExpandJob job, DeviceTables tables, int heads_each) {
    const ExpandRun& run = job.runs[blockIdx.z];
    const bool in_latents = run.rows > tables.tokens_per_latent && job.tables;
    const int stride = in_latents ? tables.tokens_per_latent : (run.rows + kRows - 1) / kRows;
    const int place = static_cast<int>(blockIdx.x * blockDim.y + threadIdx.y);
    if (place >= stride) {
        return;
    }
    begin_run(source, run);
    const Target<T> target(job, blockIdx.z);
    const int channel = static_cast<int>(threadIdx.x) * 8;
    const int first_head = static_cast<int>(blockIdx.y) * heads_each;
    const int end_head = first_head + heads_each < job.head_count ? first_head + heads_each : job.head_count;
    constexpr int kBranches = kTwoBranches ? 2 : 1;
    const long long out_row =
        job.out_row_stride > 0 ? job.out_row_stride : static_cast<long long>(kBranches) * job.head_count * job.head_dim;
    for (int first = place; first < run.rows; first += kRows * stride) {
        int rows[kRows];
        float2 turn[kRows][4] = {};
        const float* matrices[kRows] = {};
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
            const int row = first + r * stride < run.rows ? first + r * stride : first; // behind the last: the first
            rows[r] = run.first_row + row;
            if (target.rotary || kTwoBranches) {
                const int token = run.first_token + row;
                const int latent = token / tables.tokens_per_latent;
                if (r > 0 && in_latents && channel / 2 >= tables.time_pairs) {
#pragma unroll
                    for (int p = 0; p < 4; ++p) {
                        turn[r][p] = turn[0][p];
                    }
                } else if (target.rotary) {
                    load_angles(turn[r], tables, job.head_dim, run.table_latent + latent,
                                token - latent * tables.tokens_per_latent, channel / 2);
                }
                if constexpr (kTwoBranches) {
                    matrices[r] = job.matrices + static_cast<long long>(run.table_latent + latent) * 16;
                }
            }
        }
        T* const to = target.out + (run.out_row + first) * out_row + channel;
        const long long step = stride * out_row;
        for (int head = first_head; head < end_head; ++head) {
            Eight values[kRows];
            source.load_rows(rows, job.first_head + head, channel, values);
#pragma unroll
            for (int r = 0; r < kRows; ++r) {
                if (first + r * stride < run.rows) {
                    write_value<kTwoBranches>(to + r * step + head * job.head_dim, job, target.rotary, values[r],
                                              turn[r], matrices[r], target.scale);
                }
            }
        }
    }
}

template <class T, class Source>
__global__ void __launch_bounds__(kExpandThreads) expand_rows(Source source, ExpandJob job, DeviceTables tables) {
    wait_for_earlier();
    let_next_begin();
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
    const Target<T> target(job, blockIdx.z);
    float2 turn[4];
    if (target.rotary) {
        load_angles(turn, tables, job.head_dim, latent, token % tables.tokens_per_latent, channel / 2);
    }
    float matrix[16];
    if (job.matrices) {
        for (int i = 0; i < 16; ++i) {
            matrix[i] = job.matrices[static_cast<long long>(latent) * 16 + i];
        }
    }
    const int branches = job.matrices ? 2 : 1;
    const long long out_row =
        job.out_row_stride > 0 ? job.out_row_stride : static_cast<long long>(branches) * job.head_count * job.head_dim;
    T* const to = target.out + (run.out_row + row) * out_row + first * job.head_dim + channel;
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
            write_value<true>(to + (at + i) * job.head_dim, job, target.rotary, values[i], turn, matrix, target.scale);
        }
    }
}

// Where a row stands among the 16 columns it belongs to, and which row stands there.
__device__ inline int place_of_row(int row) { return row % 8 / 2 * 4 + row / 8 % 2 * 2 + row % 2; }
__device__ inline int row_of_place(int place) { return place / 2 % 2 * 8 + place / 4 * 2 + place % 2; }

template <class Source, int kRows>
__device__ inline void load_several(const Source& source, const int (&rows)[kRows], int head, int channel,
                                    Eight (&values)[kRows]) {
    if constexpr (requires { Source::kBlocks; }) {
        source.load_rows(rows, head, channel, values);
    } else {
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
            values[r] = source.load(rows[r], head, channel);
        }
    }
}

inline constexpr int kColumnTile = 128; // rows, that is columns of out, of one block

// Rows of one head become columns of bytes: 128 of them and all channels pass through shared memory.
template <class Source>
__global__ void __launch_bounds__(kExpandThreads) expand_columns(Source source, ExpandJob job, DeviceTables tables) {
    __shared__ unsigned words[128][kColumnTile / 4]; // [channel][word of columns, see word_at]
    wait_for_earlier();
    let_next_begin();
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
        const int channel = static_cast<int>(threadIdx.x) % groups * 8;
        constexpr int kAtOnce = 4; // rows of a thread that are on their way together
        for (int begin = static_cast<int>(threadIdx.x) / groups; begin < kColumnTile; begin += kAtOnce * per_pass) {
            Eight loaded[kAtOnce];
            int rows[kAtOnce], stored[kAtOnce];
#pragma unroll
            for (int r = 0; r < kAtOnce; ++r) { // all lanes load, for sources that shuffle among them
                rows[r] = first_column + begin + r * per_pass - run.out_row;
                const int inside = rows[r] < 0 ? 0 : rows[r] >= run.rows ? run.rows - 1 : rows[r];
                stored[r] = run.first_row + inside;
                rows[r] = rows[r] == inside ? inside : -1;
            }
            load_several(source, stored, job.first_head + head, channel, loaded);
#pragma unroll
            for (int r = 0; r < kAtOnce; ++r) {
                const int i = begin + r * per_pass;
                if (i >= kColumnTile) {
                    break;
                }
                Eight value{};
                if (rows[r] >= 0) {
                    value = loaded[r];
                    if (branch == 1) {
                        const int latent = run.table_latent + (run.first_token + rows[r]) / tables.tokens_per_latent;
                        value = turn_eight(job.matrices + static_cast<long long>(latent) * 16, value);
                    }
                }
                __nv_fp8_e4m3 bytes[8];
                store_eight(bytes, value, scale);
                const int place = i / 16 * 16 + place_of_row(i % 16);
#pragma unroll
                for (int c = 0; c < 8; ++c) {
                    auto* const word =
                        reinterpret_cast<__nv_fp8_e4m3*>(&words[channel + c][word_at(channel, place / 4)]);
                    word[place % 4] = bytes[c];
                }
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

inline int most_rows(const ExpandJob& job) {
    int rows = 0;
    for (int i = 0; i < job.run_count; ++i) {
        rows = job.runs[i].rows > rows ? job.runs[i].rows : rows;
    }
    return rows;
}

// 3 or 4 of the kernels that read several: as many as come out even in most runs' latents. rows: the most of a run.
inline int rows_of_a_thread(const ExpandJob& job, int rows) {
    if (!job.tables || rows <= job.tables->tokens_per_latent) {
        return 4;
    }
    const int latents = (rows + job.tables->tokens_per_latent - 1) / job.tables->tokens_per_latent;
    return latents % 4 != 0 && latents % 3 == 0 ? 3 : 4;
}

template <class T, int kRows, class Source>
void expand_several(const Source& source, const ExpandJob& job, const DeviceTables& tables, int rows, Stream stream) {
    constexpr unsigned kEnoughBlocks = 512; // that no multiprocessor waits while others have much left
    const int lanes = job.head_dim / 8;
    const dim3 threads(static_cast<unsigned>(lanes), static_cast<unsigned>(kExpandThreads / lanes));
    // Runs shorter than others may have their rows in pieces; the places of one latent are more than any of those.
    const int places =
        job.tables && rows > tables.tokens_per_latent ? tables.tokens_per_latent : (rows + kRows - 1) / kRows;
    const unsigned in_rows = (static_cast<unsigned>(places) + threads.y - 1) / threads.y;
    const unsigned of_a_head = in_rows * static_cast<unsigned>(job.run_count);
    int heads_each = kExpandHeads;
    while (heads_each > 1 &&
           of_a_head * static_cast<unsigned>((job.head_count + heads_each - 1) / heads_each) < kEnoughBlocks) {
        heads_each /= 2;
    }
    const dim3 blocks(in_rows, static_cast<unsigned>((job.head_count + heads_each - 1) / heads_each),
                      static_cast<unsigned>(job.run_count));
    if (job.matrices) {
        expand_several_rows<T, kRows, true, Source><<<blocks, threads, 0, stream>>>(source, job, tables, heads_each);
    } else {
        expand_several_rows<T, kRows, false, Source><<<blocks, threads, 0, stream>>>(source, job, tables, heads_each);
    }
}

// False when `job.element` has no kernel.
template <class Source>
bool expand_source(const Source& source, const ExpandJob& job, Stream stream) {
    const int rows = most_rows(job);
    if (rows == 0) {
        return true;
    }
    const DeviceTables tables = job.tables ? *job.tables : DeviceTables{};
    if (job.out_columns > 0) {
        if (job.element != Element::e4m3 || job.rotary || job.head_dim > 128 ||
            kExpandThreads % (job.head_dim / 8) != 0) {
            return false;
        }
        const dim3 tiles(static_cast<unsigned>(rows / kColumnTile + 2), static_cast<unsigned>(job.head_count),
                         static_cast<unsigned>(job.run_count));
        launch_chained(expand_columns<Source>, tiles, dim3(kExpandThreads), 0, stream, source, job, tables);
        return true;
    }
    const auto launch = [&]<class T>(T*) {
        if constexpr (requires { Source::kBlocks; }) {
            if (rows_of_a_thread(job, rows) == 3) {
                expand_several<T, 3>(source, job, tables, rows, stream);
            } else {
                expand_several<T, 4>(source, job, tables, rows, stream);
            }
        } else {
            const long long threads = static_cast<long long>(rows) * (job.head_dim / 8);
            const dim3 blocks(static_cast<unsigned>((threads + kExpandThreads - 1) / kExpandThreads),
                              static_cast<unsigned>((job.head_count + kExpandHeads - 1) / kExpandHeads),
                              static_cast<unsigned>(job.run_count));
            launch_chained(expand_rows<T, Source>, blocks, dim3(kExpandThreads), 0, stream, source, job, tables);
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
