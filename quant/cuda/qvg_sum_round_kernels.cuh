#pragma once
// One round of clustering for heads of up to kTileDim channels and up to 128 centroids, sums as products too. Plain
// twin: qvg/page_clusters.cpp, bit for bit.

#include "quant/cuda/qvg_round_kernels.cuh"

namespace wander::quant::cuda {
namespace {

constexpr int kSumTokens = 4 * kTileTokens; // a block of sum_round_kernel

// Bytes that are -128 where those of `ids` are `id`, else 0; both less than 128.
__device__ unsigned equal_bytes(unsigned ids, unsigned id) {
    return (0x80808080U - (ids ^ (id * 0x01010101U))) & 0x80808080U;
}

// Shared memory of sum_round_kernel.
constexpr int sum_round_bytes(int clusters, int head_dim) {
    return (2 * kTurnedWords + kTileTokens / 4 + 2 * padded_clusters(clusters)) * 4 +
           (kTileTokens + padded_clusters(clusters)) * round_stride(head_dim);
}

// A round for up to 16 kClusterTiles centroids and kTileDim channels. A tile of tokens at a time: nearest centroids as
// in round_kernel, by the warp that brought the tokens; then the sums as products too, of which token is whose (0 or 1)
// and its digits: each warp has 16 channels of all centroids in registers until its block is done.
template <int kClusterTiles, bool kBf16, Rows kRows>
__global__ void __launch_bounds__(kTileThreads, kClusterTiles > 4 ? 1 : 2)
    sum_round_kernel(Work<kBf16, kRows> work, RoundPlan plan) {
    extern __shared__ uint4 shared[];
    const QvgPageLayout& layout = work.layout();
    const int dim = layout.head_dim;
    const int fours = dim / 4;
    const int clusters = work.clusters();
    const int padded = work.padded();
    const int stride = round_stride(dim);
    const int row_bytes = work.row_words() * 4;
    auto* high = reinterpret_cast<unsigned*>(shared);
    unsigned* low = high + kTurnedWords;
    unsigned* ids = low + kTurnedWords;                        // four tokens a word
    int* keys = reinterpret_cast<int*>(ids + kTileTokens / 4); // of centroids: the larger, the nearer
    int* members = keys + padded;
    auto* rows = reinterpret_cast<std::uint8_t*>(members + padded);
    std::uint8_t* coarse = rows + kTileTokens * stride;
    const int thread = static_cast<int>(threadIdx.x);
    const int warp = thread / 32;
    const int lane = thread % 32;
    const int group = lane / 4;
    const int inside = lane % 4;
    const int begin = static_cast<int>(blockIdx.x) * plan.block_tokens;
    const int end = min(begin + plan.block_tokens, layout.tokens);
    const int warp_row = warp * kThreadTokens;
    const bool fetches = lane < fours;
    const int channel = 4 * min(lane, fours - 1);
    TileRows<kBf16, kRows> tile;
    tile.fetch(work, begin + warp_row, end, channel);

    const auto* centroids = reinterpret_cast<const uint4*>(work.coarse());
    for (int i = thread; i < padded * row_bytes / 16; i += kTileThreads) {
        *reinterpret_cast<uint4*>(coarse + i / (row_bytes / 16) * stride + i % (row_bytes / 16) * 16) = centroids[i];
    }
    for (int k = thread; k < padded; k += kTileThreads) {
        // 256 (2 x.c - |c|^2) + 255 - k is largest for the nearest, the lowest index among equals: less than 2^31, for
        // there are up to kTileDim channels of seven bits.
        keys[k] = k < clusters ? 255 - k - 256 * work.norms()[k] : -0x60000000;
        members[k] = 0;
    }
    for (int i = lane; i < (row_bytes - dim) / 4 * kThreadTokens; i += 32) { // padding of rows
        const int words = (row_bytes - dim) / 4;
        *reinterpret_cast<unsigned*>(rows + (warp_row + i / words) * stride + dim + i % words * 4) = 0;
    }
    float middle[4] = {};
    if constexpr (kRows != Rows::left_over) {
        const float4 four = *reinterpret_cast<const float4*>(work.mean() + channel);
        middle[0] = four.x, middle[1] = four.y, middle[2] = four.z, middle[3] = four.w;
    }
    const float inverse = work.grid().inverse;
    int sum[kClusterTiles][2][4] = {};
    __syncthreads();

    for (int first = begin; first < end; first += kTileTokens) {
        std::uint8_t* warp_rows = rows + warp_row * stride;
        if (fetches) {
            tile.template put<true>(work, first + warp_row, end, channel, middle, inverse, stride, warp_rows + channel,
                                    high, low);
        }
        if (first + kTileTokens < end) { // on its way while this one is worked on
            tile.fetch(work, first + kTileTokens + warp_row, end, channel);
        }
        __syncwarp();
        int best[2] = {static_cast<int>(0x80000000), static_cast<int>(0x80000000)};
        for (int centroid = 0; centroid < padded; centroid += kTileCentroids) {
            int score[kTileCentroids / 8][4] = {};
            for (int c = 8 * inside; c < row_bytes; c += 32) {
                const uint2 top = *reinterpret_cast<const uint2*>(warp_rows + group * stride + c);
                const uint2 bottom = *reinterpret_cast<const uint2*>(warp_rows + (group + 8) * stride + c);
                const unsigned a[4] = {top.x, bottom.x, top.y, bottom.y};
#pragma unroll
                for (int n = 0; n < kTileCentroids / 8; ++n) {
                    if (centroid + 8 * n < padded) {
                        const uint2 b =
                            *reinterpret_cast<const uint2*>(coarse + (centroid + 8 * n + group) * stride + c);
                        multiply(score[n], a, b.x, b.y);
                    }
                }
            }
#pragma unroll
            for (int n = 0; n < kTileCentroids / 8; ++n) {
#pragma unroll
                for (int j = 0; j < 2; ++j) {
                    const int k = centroid + 8 * n + 2 * inside + j;
                    if (k < padded) {
#pragma unroll
                        for (int r = 0; r < 2; ++r) {
                            best[r] = max(best[r], 512 * score[n][2 * r + j] + keys[k]);
                        }
                    }
                }
            }
        }
#pragma unroll
        for (int r = 0; r < 2; ++r) {
#pragma unroll
            for (int step = 1; step < 4; step *= 2) {
                best[r] = max(best[r], __shfl_xor_sync(0xFFFFFFFFU, best[r], step));
            }
            const int id = 255 - (best[r] & 255);
            const int row = warp_row + 8 * r + group;
            if (inside == 0) {
                reinterpret_cast<std::uint8_t*>(ids)[row] = static_cast<std::uint8_t>(id);
                if (first + row < end) {
                    atomicAdd(members + id, 1);
                    if (plan.keeps_ids) {
                        work.ids()[first + row] = static_cast<std::uint8_t>(id);
                    }
                }
            }
        }
        __syncthreads();
        if (16 * warp < dim) {
            int upper[kClusterTiles][2][4] = {};
#pragma unroll
            for (int word = 0; word < kTileTokens / 4; word += 8) {
                const unsigned ids0 = ids[word + inside];
                const unsigned ids1 = ids[word + 4 + inside];
                const int at = (16 * warp + group) * kTurnedStride + word + inside;
                unsigned digits[2][2][2]; // [upper, lower][half of the channels][half of the tokens]
#pragma unroll
                for (int n = 0; n < 2; ++n) {
                    digits[0][n][0] = high[at + 8 * n * kTurnedStride];
                    digits[0][n][1] = high[at + 8 * n * kTurnedStride + 4];
                    digits[1][n][0] = low[at + 8 * n * kTurnedStride];
                    digits[1][n][1] = low[at + 8 * n * kTurnedStride + 4];
                }
#pragma unroll
                for (int m = 0; m < kClusterTiles; ++m) {
                    const auto k = static_cast<unsigned>(16 * m + group);
                    const unsigned whose[4] = {equal_bytes(ids0, k), equal_bytes(ids0, k + 8), equal_bytes(ids1, k),
                                               equal_bytes(ids1, k + 8)};
#pragma unroll
                    for (int n = 0; n < 2; ++n) {
                        multiply(upper[m][n], whose, digits[0][n][0], digits[0][n][1]);
                        multiply(sum[m][n], whose, digits[1][n][0], digits[1][n][1]);
                    }
                }
            }
#pragma unroll
            for (int m = 0; m < kClusterTiles; ++m) {
#pragma unroll
                for (int i = 0; i < 8; ++i) {
                    sum[m][i / 4][i % 4] += 256 * upper[m][i / 4][i % 4];
                }
            }
        }
        __syncthreads();
    }
    for (int k = thread; k < clusters; k += kTileThreads) {
        if (members[k] > 0) {
            atomicAdd(work.members() + k, members[k]);
        }
    }
#pragma unroll
    for (int m = 0; m < kClusterTiles; ++m) {
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            const int k = 16 * m + group + i % 4 / 2 * 8;
            const int at = 16 * warp + i / 4 * 8 + 2 * inside + i % 2;
            const int value = -(sum[m][i / 4][i % 4] / 128);
            if (k < clusters && at < dim && value != 0) {
                atomicAdd(work.sums() + k * dim + at, value);
            }
        }
    }
}

} // namespace
} // namespace wander::quant::cuda
