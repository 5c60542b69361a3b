#pragma once
// The basis of a page on the device. Plain twin: qvg/page_basis.cpp, bit for bit. Rows are what the mean left.

#include "quant/cuda/qvg_mean_kernels.cuh"
#include "quant/cuda/qvg_tiles.cuh"

namespace wander::quant::cuda {
namespace {

constexpr int kRank = qvg::kBasisRank;
static_assert(kRank == 4, "weights of a token are read as one float4");

constexpr int kCovarianceTokens = 5 * kTileTokens; // a block
constexpr int kProjectThreads = 256;
constexpr int kProjectTokens = 4; // that four threads have at once

// What a covariance is taken of.
template <bool kBf16>
using LeftByMean = Work<kBf16, Rows::about_mean>;

template <bool kBf16>
__global__ void covariance_grid_kernel(LeftByMean<kBf16> work) {
    put_grid(work, head_peak(work));
}

// Products of all pairs of channels, added over kCovarianceTokens tokens: a warp for each 16 channels. For heads of up
// to kTileDim channels.
template <bool kBf16>
__global__ void __launch_bounds__(kTileThreads, 2) covariance_kernel(LeftByMean<kBf16> work) {
    __shared__ uint4 shared[kTurnedWords / 4];
    auto* turned = reinterpret_cast<unsigned*>(shared);
    const QvgPageLayout& layout = work.layout();
    const int dim = layout.head_dim;
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int group = lane / 4;
    const int inside = lane % 4;
    const int warp = static_cast<int>(threadIdx.x) / 32;
    const int top = warp * 16; // first row of this warp
    const int warp_row = warp * kThreadTokens;
    const float inverse = work.grid().inverse;
    const bool fetches = lane < dim / 4;
    const int channel = 4 * min(lane, dim / 4 - 1);
    const float4 four = *reinterpret_cast<const float4*>(work.mean() + channel);
    const float middle[4] = {four.x, four.y, four.z, four.w};
    const int begin = static_cast<int>(blockIdx.x) * kCovarianceTokens;
    const int end = min(begin + kCovarianceTokens, layout.tokens);
    TileRows<kBf16, Rows::about_mean> tile;
    tile.fetch(work, begin + warp_row, end, channel);
    int sum[kTileDim / 8][4] = {};
    for (int first = begin; first < end; first += kTileTokens) {
        if (fetches) {
            tile.template put<false>(work, first + warp_row, end, channel, middle, inverse, 0, nullptr, turned,
                                     nullptr);
        }
        if (first + kTileTokens < end) { // on its way while this one is worked on
            tile.fetch(work, first + kTileTokens + warp_row, end, channel);
        }
        __syncthreads();
        for (int word = 0; top < dim && word < kTileTokens / 4; word += 8) {
            const unsigned* row = turned + (top + group) * kTurnedStride + word + inside;
            const unsigned a[4] = {row[0], row[8 * kTurnedStride], row[4], row[8 * kTurnedStride + 4]};
#pragma unroll
            for (int n = 0; n < kTileDim / 8; ++n) {
                if (8 * n < dim) {
                    const unsigned* column = turned + (8 * n + group) * kTurnedStride + word + inside;
                    multiply(sum[n], a, column[0], column[4]);
                }
            }
        }
        __syncthreads();
    }
    int* out = work.covariance() + (top + group) * dim + 2 * inside;
#pragma unroll
    for (int n = 0; n < kTileDim / 8; ++n) {
        if (top < dim && 8 * n < dim) {
            atomicAdd(out + 8 * n, sum[n][0]);
            atomicAdd(out + 8 * n + 1, sum[n][1]);
            atomicAdd(out + 8 * dim + 8 * n, sum[n][2]);
            atomicAdd(out + 8 * dim + 8 * n + 1, sum[n][3]);
        }
    }
}

// The same for wider heads. Block blockIdx.x: products with one channel; threads: the other channel.
template <bool kBf16>
__global__ void wide_covariance_kernel(LeftByMean<kBf16> work) {
    const int dim = work.layout().head_dim;
    const int row = static_cast<int>(blockIdx.x);
    const int column = static_cast<int>(threadIdx.x);
    if (column >= dim) {
        return;
    }
    const float inverse = work.grid().inverse;
    const auto coarse = [&](int token, int channel) {
        float x[2];
        load_source(work, token, channel / 2 * 2, x);
        const float point = point_value<kBf16, Rows::about_mean>(x[channel % 2], work.mean()[channel]);
        return (static_cast<std::int16_t>(whole_steps(point, inverse)) + 128) >> 8;
    };
    int sum = 0;
    for (int t = 0; t < work.layout().tokens; ++t) {
        sum += coarse(t, row) * coarse(t, column);
    }
    work.covariance()[place_of(row, dim) * dim + place_of(column, dim)] = sum;
}

// Sum of products, by the first half warp: 16 partial sums, then halves added to each other.
__device__ void put_dot(const float* a, const float* b, int dim, float* out) {
    const int lane = static_cast<int>(threadIdx.x);
    if (lane < 32) {
        float sum = 0;
#pragma unroll 8
        for (int c = lane % 16; c < dim; c += 16) {
            sum = __fadd_rn(sum, __fmul_rn(a[c], b[c]));
        }
#pragma unroll
        for (int step = 8; step > 0; step /= 2) {
            sum = __fadd_rn(sum, __shfl_down_sync(0xFFFFFFFFU, sum, step, 16));
        }
        if (lane == 0) {
            *out = sum;
        }
    }
    __syncthreads();
}

// Threads: channels, whole warps; rows in shared memory. As orthonormalise() of the twin.
__device__ void orthonormalise(float (&rows)[kRank][kQvgMaxHeadDim], int dim) {
    __shared__ float product;
    const int channel = static_cast<int>(threadIdx.x);
    const bool held = channel < dim;
    __syncthreads();
    for (int k = 0; k < kRank; ++k) {
        for (int j = 0; j < k; ++j) {
            put_dot(rows[k], rows[j], dim, &product);
            if (held) {
                rows[k][channel] = __fsub_rn(rows[k][channel], __fmul_rn(product, rows[j][channel]));
            }
            __syncthreads();
        }
        put_dot(rows[k], rows[k], dim, &product);
        const float inverse = product > 0 ? __fdiv_rn(1.0F, __fsqrt_rn(product)) : 0.0F;
        if (held) {
            rows[k][channel] = __fmul_rn(rows[k][channel], inverse);
        }
        __syncthreads();
    }
}

// From the covariance to the page, and rounded as it is there to the scratch. Threads: channels, whole warps.
// kKept: channels whose products a thread has in registers for all rounds; the others are read in each.
template <int kKept, bool kBf16>
__global__ void __launch_bounds__(kQvgMaxHeadDim / (kKept > 0 ? 4 : 1)) basis_kernel(LeftByMean<kBf16> work) {
    __shared__ float rows[kRank][kQvgMaxHeadDim];
    const QvgPageLayout& layout = work.layout();
    const int dim = layout.head_dim;
    const int channel = static_cast<int>(threadIdx.x);
    const bool held = channel < dim;
    const int* column = work.covariance() + place_of(held ? channel : 0, dim);
    float kept[kKept > 0 ? kKept : 1];
#pragma unroll
    for (int j = 0; j < kKept; ++j) {
        kept[j] = j < dim ? static_cast<float>(column[place_of(j, dim) * dim]) : 0.0F;
    }
    for (int k = 0; k < kRank && held; ++k) {
        rows[k][channel] = qvg::start_sign(k, channel);
    }
    orthonormalise(rows, dim);
    for (int round = 0; round < qvg::kBasisRounds; ++round) {
        float turned[kRank] = {};
        const auto add = [&](int j, float value) {
#pragma unroll
            for (int k = 0; k < kRank; ++k) {
                turned[k] = __fadd_rn(turned[k], __fmul_rn(value, rows[k][j]));
            }
        };
#pragma unroll
        for (int j = 0; j < kKept; ++j) {
            if (j < dim) {
                add(j, kept[j]);
            }
        }
        for (int j = kKept; j < dim; ++j) {
            add(j, static_cast<float>(column[static_cast<std::int64_t>(place_of(j, dim)) * dim]));
        }
        __syncthreads();
        for (int k = 0; k < kRank && held; ++k) {
            rows[k][channel] = turned[k];
        }
        orthonormalise(rows, dim);
    }
    auto* stored = reinterpret_cast<std::uint16_t*>(work.batch.pages[blockIdx.z].page +
                                                    layout.basis_row(static_cast<int>(blockIdx.y), 0));
    for (int k = 0; k < kRank && held; ++k) {
        const std::uint16_t bits = to_bf16(rows[k][channel]);
        stored[k * dim + channel] = bits;
        work.basis()[k * dim + channel] = bf16_low(bits);
    }
}

// Weights of every token along the basis, and the largest of each direction. Four threads for kProjectTokens tokens.
template <bool kBf16>
__global__ void project_kernel(LeftByMean<kBf16> work) {
    __shared__ float4 basis4[kRank * kQvgMaxHeadDim / 4];
    __shared__ float4 mean4[kQvgMaxHeadDim / 4];
    auto* basis = reinterpret_cast<float*>(basis4);
    auto* mean = reinterpret_cast<float*>(mean4);
    const QvgPageLayout& layout = work.layout();
    const int dim = layout.head_dim;
    for (int i = static_cast<int>(threadIdx.x); i < kRank * dim; i += kProjectThreads) {
        basis[i] = work.basis()[i];
    }
    for (int c = static_cast<int>(threadIdx.x); c < dim; c += kProjectThreads) {
        mean[c] = work.mean()[c];
    }
    __syncthreads();
    // Neighbours in a warp have neighbouring tokens.
    const int first = static_cast<int>(blockIdx.x * (kProjectThreads / 4) + threadIdx.x / 32 * 8) * kProjectTokens +
                      static_cast<int>(threadIdx.x) % 32 / 4;
    const int inside = static_cast<int>(threadIdx.x) % 4;
    float sum[kProjectTokens][kRank] = {};
    for (int c = qvg::kSumStretch * inside; c < dim; c += qvg::kSumStretch * qvg::kSumParts) {
        float x[kProjectTokens][8];
#pragma unroll
        for (int t = 0; t < kProjectTokens; ++t) {
            load_source(work, min(first + 8 * t, layout.tokens - 1), c, x[t]);
        }
        float middle[8];
        load_floats(mean + c, middle);
#pragma unroll
        for (int i = 0; i < 8; ++i) {
#pragma unroll
            for (int t = 0; t < kProjectTokens; ++t) {
                x[t][i] = row_value<kBf16, Rows::about_mean>(x[t][i], middle[i]);
            }
        }
#pragma unroll
        for (int k = 0; k < kRank; ++k) {
            float along[8];
            load_floats(basis + k * dim + c, along);
#pragma unroll
            for (int i = 0; i < 8; ++i) {
#pragma unroll
                for (int t = 0; t < kProjectTokens; ++t) {
                    sum[t][k] = __fadd_rn(sum[t][k], __fmul_rn(x[t][i], along[i]));
                }
            }
        }
    }
    float most[kRank] = {};
#pragma unroll
    for (int t = 0; t < kProjectTokens; ++t) {
#pragma unroll
        for (int k = 0; k < kRank; ++k) {
            sum[t][k] = __fadd_rn(sum[t][k], __shfl_xor_sync(0xFFFFFFFFU, sum[t][k], 1));
            sum[t][k] = __fadd_rn(sum[t][k], __shfl_xor_sync(0xFFFFFFFFU, sum[t][k], 2));
            most[k] = fmaxf(most[k], fabsf(sum[t][k]));
        }
        if (inside == 0 && first + 8 * t < layout.tokens) {
            work.basis_weights()[first + 8 * t] = {sum[t][0], sum[t][1], sum[t][2], sum[t][3]};
        }
    }
#pragma unroll
    for (int k = 0; k < kRank; ++k) {
#pragma unroll
        for (int step = 4; step < 32; step *= 2) {
            most[k] = fmaxf(most[k], __shfl_xor_sync(0xFFFFFFFFU, most[k], step));
        }
    }
    if (threadIdx.x % 32 == 0) { // bits of floats that are not negative are in the order of the floats
        for (int k = 0; k < kRank; ++k) {
            atomicMax(work.weight_peaks() + k, __float_as_int(most[k]));
        }
    }
}

} // namespace
} // namespace wander::quant::cuda
