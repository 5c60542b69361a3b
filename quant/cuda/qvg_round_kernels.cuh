#pragma once
// One round of clustering for any head and any number of centroids: assignment, sums and the new centroids, in whole
// numbers. Plain twin: qvg/page_clusters.cpp, bit for bit.

#include "quant/cuda/qvg_tiles.cuh"
#include "quant/cuda/qvg_work.cuh"

namespace wander::quant::cuda {
namespace {

constexpr int kRoundThreads = 256;
constexpr int kWarpTokens = 32;    // that a warp assigns at once
constexpr int kTileCentroids = 64; // scores that a warp has in registers for them
constexpr int kRoundTokens = 512;  // about as many a block

struct RoundPlan {
    int block_tokens = 0; // a multiple of kWarpTokens
    bool counts = true;   // adds up the members of each centroid
    bool keeps_ids = true;
    bool shared_sums = false; // they have room in shared memory
};

// Bytes from one centroid to the next in shared memory: 8 bytes of four neighbours lie in different banks.
__host__ __device__ constexpr int round_stride(int head_dim) {
    const int bytes = padded_words(head_dim) * 4;
    return bytes % 64 == 0 ? bytes + 32 : bytes;
}
constexpr int round_shared_bytes(int clusters, int head_dim, bool sums) {
    const int padded = padded_clusters(clusters);
    return padded * (round_stride(head_dim) + 4) + padded_words(head_dim) * 16 + kRoundThreads * 4 +
           (sums ? clusters * (head_dim + 1) * 4 : 0);
}

// The members of kWarpTokens tokens from `first` on to the sums. ids: theirs, of this warp.
template <bool kBf16, Rows kRows>
__device__ void add_members(const Work<kBf16, kRows>& work, const float* mean, const int* ids, float inverse, int first,
                            int end, int* sums, int* members) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int fours = work.layout().head_dim / 4;
    const int together = fours < 32 ? 32 / fours : 1; // rows that a warp reads at once
    const int row = fours < 32 ? lane / fours : 0;
    if (row >= together) {
        return;
    }
    for (int f = fours < 32 ? lane % fours : lane; f < fours; f += 32) {
        const float4 middle = *reinterpret_cast<const float4*>(mean + 4 * f);
        for (int t = row; t < kWarpTokens; t += 4 * together) {
            float x[4][4];
#pragma unroll
            for (int j = 0; j < 4; ++j) { // loads first, so that they overlap
                load_source(work, min(first + t + j * together, end - 1), 4 * f, x[j]);
            }
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                const int at = t + j * together;
                if (at >= kWarpTokens || first + at >= end) {
                    continue;
                }
                const float about[4] = {middle.x, middle.y, middle.z, middle.w};
                int* of = sums + ids[at] * 4 * fours + f;
#pragma unroll
                for (int i = 0; i < 4; ++i) {
                    const float point = point_value<kBf16, kRows>(x[j][i], about[i]);
                    atomicAdd(of + i * fours, static_cast<int>(static_cast<std::int16_t>(whole_steps(point, inverse))));
                }
                if (f == 0) {
                    atomicAdd(members + ids[at], 1);
                }
            }
        }
    }
}

// Which centroid is nearest, and the sums of those it is nearest to. Each warp takes kWarpTokens tokens as rows of the
// first operand, all centroids as columns of the second. Channels go to columns in an order in which a thread's eight
// are neighbours in memory: the same for both, so it does not matter.
template <bool kBf16, Rows kRows>
__global__ void __launch_bounds__(kRoundThreads, 2) round_kernel(Work<kBf16, kRows> work, RoundPlan plan) {
    extern __shared__ uint4 shared[];
    const QvgPageLayout& layout = work.layout();
    const int dim = layout.head_dim;
    const int clusters = work.clusters();
    const int padded = work.padded();
    const int stride = round_stride(dim);
    const int row_bytes = work.row_words() * 4;
    auto* coarse = reinterpret_cast<std::uint8_t*>(shared);
    auto* mean = reinterpret_cast<float*>(coarse + padded * stride);
    int* norms = reinterpret_cast<int*>(mean + row_bytes);
    int* ids = norms + padded;
    int* sums = ids + kRoundThreads;
    int* members = sums + clusters * dim;
    const int thread = static_cast<int>(threadIdx.x);
    const auto* rows = reinterpret_cast<const uint4*>(work.coarse());
    for (int i = thread; i < padded * row_bytes / 16; i += kRoundThreads) {
        *reinterpret_cast<uint4*>(coarse + i / (row_bytes / 16) * stride + i % (row_bytes / 16) * 16) = rows[i];
    }
    for (int k = thread; k < padded; k += kRoundThreads) {
        norms[k] = work.norms()[k];
    }
    for (int c = thread; c < dim && kRows != Rows::left_over; c += kRoundThreads) {
        mean[c] = work.mean()[c];
    }
    for (int i = thread; plan.shared_sums && i < clusters * (dim + 1); i += kRoundThreads) {
        sums[i] = 0;
    }
    __syncthreads();

    const float inverse = work.grid().inverse;
    const int lane = thread % 32;
    const int group = lane / 4;
    const int inside = lane % 4;
    const int begin = static_cast<int>(blockIdx.x) * plan.block_tokens;
    const int end = min(begin + plan.block_tokens, layout.tokens);
    int* warp_ids = ids + thread / 32 * kWarpTokens;
    for (int first = begin + thread / 32 * kWarpTokens; first < end; first += kRoundThreads) {
        int best[4] = {static_cast<int>(0x80000000), static_cast<int>(0x80000000), static_cast<int>(0x80000000),
                       static_cast<int>(0x80000000)};
        int id[4] = {};
        for (int tile = 0; tile < padded; tile += kTileCentroids) {
            int score[2][kTileCentroids / 8][4] = {};
            for (int c = 8 * inside; c < row_bytes; c += 32) {
                unsigned a[2][4] = {};
                if (c < dim) {
                    float middle[8] = {};
                    if constexpr (kRows != Rows::left_over) {
                        load_floats(mean + c, middle);
                    }
#pragma unroll
                    for (int r = 0; r < 4; ++r) {
                        const int token = min(first + 8 * r + group, end - 1);
                        float x[8];
                        load_source(work, token, c, x);
#pragma unroll
                        for (int i = 0; i < 8; ++i) {
                            x[i] = point_value<kBf16, kRows>(x[i], middle[i]);
                        }
                        a[r / 2][r % 2] = coarse_word(x[0], x[1], x[2], x[3], inverse);
                        a[r / 2][r % 2 + 2] = coarse_word(x[4], x[5], x[6], x[7], inverse);
                    }
                }
#pragma unroll
                for (int n = 0; n < kTileCentroids / 8; ++n) {
                    if (tile + 8 * n < padded) {
                        const uint2 b = *reinterpret_cast<const uint2*>(coarse + (tile + 8 * n + group) * stride + c);
                        multiply(score[0][n], a[0], b.x, b.y);
                        multiply(score[1][n], a[1], b.x, b.y);
                    }
                }
            }
#pragma unroll
            for (int n = 0; n < kTileCentroids / 8; ++n) {
#pragma unroll
                for (int j = 0; j < 2; ++j) {
                    const int k = tile + 8 * n + 2 * inside + j;
                    if (k < padded) {
                        const int norm = norms[k];
#pragma unroll
                        for (int r = 0; r < 4; ++r) {
                            const int value = 2 * score[r / 2][n][r % 2 * 2 + j] - norm;
                            id[r] = value > best[r] ? k : id[r];
                            best[r] = max(best[r], value);
                        }
                    }
                }
            }
        }
#pragma unroll
        for (int r = 0; r < 4; ++r) {
#pragma unroll
            for (int step = 1; step < 4; step *= 2) {
                const int other = __shfl_xor_sync(0xFFFFFFFFU, best[r], step);
                const int other_id = __shfl_xor_sync(0xFFFFFFFFU, id[r], step);
                const bool closer = other > best[r] || (other == best[r] && other_id < id[r]);
                id[r] = closer ? other_id : id[r];
                best[r] = closer ? other : best[r];
            }
            if (inside == 0) {
                warp_ids[8 * r + group] = id[r];
            }
        }
        __syncwarp();
        if (plan.keeps_ids && first + lane < end) {
            work.ids()[first + lane] = static_cast<std::uint8_t>(warp_ids[lane]);
        }
        if (plan.counts && plan.shared_sums) {
            add_members(work, mean, warp_ids, inverse, first, end, sums, members);
        } else if (plan.counts) {
            add_members(work, mean, warp_ids, inverse, first, end, work.sums(), work.members());
        }
        __syncwarp();
    }
    if (!plan.counts || !plan.shared_sums) {
        return;
    }
    __syncthreads();
    for (int i = thread; i < clusters * dim; i += kRoundThreads) {
        if (sums[i] != 0) {
            atomicAdd(work.sums() + i, sums[i]);
        }
    }
    for (int k = thread; k < clusters; k += kRoundThreads) {
        atomicAdd(work.members() + k, members[k]);
    }
}

// One block a centroid; threads: channels, whole warps. An empty cluster keeps its centroid. Leaves sums of nothing.
template <bool kBf16, Rows kRows>
__global__ void update_kernel(Work<kBf16, kRows> work) {
    __shared__ int norm_of[kQvgMaxHeadDim / 32];
    const int dim = work.layout().head_dim;
    const int centroid = static_cast<int>(blockIdx.x);
    const int channel = static_cast<int>(threadIdx.x);
    const int members = work.members()[centroid];
    if (members == 0) {
        return; // and then the sums are nothing
    }
    int coarse = 0;
    if (channel < dim) {
        int& sum = work.sums()[centroid * dim + place_of(channel, dim)];
        const float average = __fdiv_rn(static_cast<float>(sum), static_cast<float>(members));
        sum = 0;
        const float offset = kRows == Rows::source ? work.mean()[channel] : 0.0F;
        work.centroids()[static_cast<std::int64_t>(centroid) * dim + channel] =
            __fadd_rn(offset, __fmul_rn(average, work.grid().step));
        coarse = static_cast<std::int16_t>(whole_steps(average, qvg::kCoarseShare));
        reinterpret_cast<std::int8_t*>(work.coarse() + centroid * work.row_words())[channel] =
            static_cast<std::int8_t>(coarse);
    }
    const int part = warp_sum(coarse * coarse);
    if (channel % 32 == 0) {
        norm_of[channel / 32] = part;
    }
    __syncthreads();
    if (channel == 0) {
        int norm = 0;
        for (int w = 0; w < static_cast<int>(blockDim.x) / 32; ++w) {
            norm += norm_of[w];
        }
        work.norms()[centroid] = norm;
        work.members()[centroid] = 0;
    }
}

} // namespace
} // namespace wander::quant::cuda
