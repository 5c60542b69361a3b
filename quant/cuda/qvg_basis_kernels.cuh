#pragma once
// The basis of a page on the device. Plain twin: qvg/page_basis.cpp, bit for bit. Rows are what the mean left.

#include "quant/cuda/qvg_work.cuh"

namespace wander::quant::cuda {
namespace {

constexpr int kRank = qvg::kBasisRank;
static_assert(kRank == 4, "weights of a token are read as one float4");

constexpr int kCovarianceThreads = 256;
constexpr int kCovarianceDim = 128;           // a warp for each 16 channels
constexpr int kCovarianceStep = 64;           // tokens that lie in shared memory at once
constexpr int kCovarianceStride = 64 / 4 + 4; // words from one channel to the next: 8 of them in different banks
constexpr int kCovarianceTokens = 1024;       // a block
constexpr int kProjectThreads = 256;

// What a covariance is taken of.
template <bool kBf16>
using LeftByMean = Work<kBf16, Rows::about_mean>;

template <bool kBf16>
__global__ void covariance_grid_kernel(LeftByMean<kBf16> work) {
    put_grid(work, head_peak(work));
}

// Products of all pairs of channels, added over kCovarianceTokens tokens. For heads of up to kCovarianceDim channels.
template <bool kBf16>
__global__ void __launch_bounds__(kCovarianceThreads, 2) covariance_kernel(LeftByMean<kBf16> work) {
    // Four tokens a word, [channel in the order of sums()][word].
    __shared__ unsigned turned[kCovarianceDim * kCovarianceStride];
    __shared__ float mean[kCovarianceDim];
    const QvgPageLayout& layout = work.layout();
    const int dim = layout.head_dim;
    const int fours = dim / 4;
    const int thread = static_cast<int>(threadIdx.x);
    const int group = thread % 32 / 4;
    const int inside = thread % 4;
    const int top = thread / 32 * 16; // first row of this warp
    const float inverse = work.grid().inverse;
    if (thread < dim) {
        mean[thread] = work.mean()[thread];
    }
    __syncthreads();
    int sum[kCovarianceDim / 8][4] = {};
    const int begin = static_cast<int>(blockIdx.x) * kCovarianceTokens;
    const int end = min(begin + kCovarianceTokens, layout.tokens);
    for (int first = begin; first < end; first += kCovarianceStep) {
        for (int i = thread; i < kCovarianceStep / 4 * fours; i += kCovarianceThreads) {
            const int four = i % fours;
            const int word = i / fours;
            unsigned coarse[4]; // of four tokens, four channels each
#pragma unroll
            for (int n = 0; n < 4; ++n) {
                const int token = first + 4 * word + n;
                float x[4];
                load_source(work, min(token, end - 1), 4 * four, x);
#pragma unroll
                for (int c = 0; c < 4; ++c) {
                    x[c] = point_value<kBf16, Rows::about_mean>(x[c], mean[4 * four + c]);
                }
                coarse[n] = token < end ? coarse_word(x[0], x[1], x[2], x[3], inverse) : 0U;
            }
            const unsigned low01 = __byte_perm(coarse[0], coarse[1], 0x5140); // channels 0 and 1 of tokens 0 and 1
            const unsigned low23 = __byte_perm(coarse[2], coarse[3], 0x5140);
            const unsigned high01 = __byte_perm(coarse[0], coarse[1], 0x7362); // channels 2 and 3
            const unsigned high23 = __byte_perm(coarse[2], coarse[3], 0x7362);
            turned[four * kCovarianceStride + word] = __byte_perm(low01, low23, 0x5410);
            turned[(fours + four) * kCovarianceStride + word] = __byte_perm(low01, low23, 0x7632);
            turned[(2 * fours + four) * kCovarianceStride + word] = __byte_perm(high01, high23, 0x5410);
            turned[(3 * fours + four) * kCovarianceStride + word] = __byte_perm(high01, high23, 0x7632);
        }
        __syncthreads();
        for (int word = 0; top < dim && word < kCovarianceStep / 4; word += 8) {
            const unsigned* row = turned + (top + group) * kCovarianceStride + word + inside;
            const unsigned a[4] = {row[0], row[8 * kCovarianceStride], row[4], row[8 * kCovarianceStride + 4]};
#pragma unroll
            for (int n = 0; n < kCovarianceDim / 8; ++n) {
                if (8 * n < dim) {
                    const unsigned* column = turned + (8 * n + group) * kCovarianceStride + word + inside;
                    multiply(sum[n], a, column[0], column[4]);
                }
            }
        }
        __syncthreads();
    }
    int* out = work.covariance() + (top + group) * dim + 2 * inside;
#pragma unroll
    for (int n = 0; n < kCovarianceDim / 8; ++n) {
        if (top < dim && 8 * n < dim) {
            atomicAdd(out + 8 * n, sum[n][0]);
            atomicAdd(out + 8 * n + 1, sum[n][1]);
            atomicAdd(out + 8 * dim + 8 * n, sum[n][2]);
            atomicAdd(out + 8 * dim + 8 * n + 1, sum[n][3]);
        }
    }
}

__device__ int place_of(int channel, int dim) { return channel % 4 * (dim / 4) + channel / 4; }

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
template <bool kBf16>
__global__ void basis_kernel(LeftByMean<kBf16> work) {
    __shared__ float rows[kRank][kQvgMaxHeadDim];
    const QvgPageLayout& layout = work.layout();
    const int dim = layout.head_dim;
    const int channel = static_cast<int>(threadIdx.x);
    const bool held = channel < dim;
    for (int k = 0; k < kRank && held; ++k) {
        rows[k][channel] = qvg::start_sign(k, channel);
    }
    orthonormalise(rows, dim);
    const int* column = work.covariance() + place_of(held ? channel : 0, dim);
    for (int round = 0; round < qvg::kBasisRounds; ++round) {
        float turned[kRank] = {};
#pragma unroll 8
        for (int j = 0; j < dim; ++j) {
            const auto value = static_cast<float>(column[static_cast<std::int64_t>(place_of(j, dim)) * dim]);
#pragma unroll
            for (int k = 0; k < kRank; ++k) {
                turned[k] = __fadd_rn(turned[k], __fmul_rn(value, rows[k][j]));
            }
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

// Weights of every token along the basis, and the largest of each direction. Four threads a token.
template <bool kBf16>
__global__ void project_kernel(LeftByMean<kBf16> work) {
    __shared__ __align__(16) float basis[kRank][kQvgMaxHeadDim];
    __shared__ __align__(16) float mean[kQvgMaxHeadDim];
    const QvgPageLayout& layout = work.layout();
    const int dim = layout.head_dim;
    for (int i = static_cast<int>(threadIdx.x); i < kRank * dim; i += kProjectThreads) {
        basis[i / dim][i % dim] = work.basis()[i];
    }
    for (int c = static_cast<int>(threadIdx.x); c < dim; c += kProjectThreads) {
        mean[c] = work.mean()[c];
    }
    __syncthreads();
    const int token = static_cast<int>(blockIdx.x * (kProjectThreads / 4) + threadIdx.x / 4);
    const int inside = static_cast<int>(threadIdx.x) % 4;
    float sum[kRank] = {};
    for (int c = qvg::kSumStretch * inside; c < dim; c += qvg::kSumStretch * qvg::kSumParts) {
        float x[8];
        load_source(work, min(token, layout.tokens - 1), c, x);
        float middle[8];
        load_floats(mean + c, middle);
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            x[i] = row_value<kBf16, Rows::about_mean>(x[i], middle[i]);
        }
#pragma unroll
        for (int k = 0; k < kRank; ++k) {
            float along[8];
            load_floats(basis[k] + c, along);
#pragma unroll
            for (int i = 0; i < 8; ++i) {
                sum[k] = __fadd_rn(sum[k], __fmul_rn(x[i], along[i]));
            }
        }
    }
    float most[kRank];
#pragma unroll
    for (int k = 0; k < kRank; ++k) {
        sum[k] = __fadd_rn(sum[k], __shfl_xor_sync(0xFFFFFFFFU, sum[k], 1));
        sum[k] = __fadd_rn(sum[k], __shfl_xor_sync(0xFFFFFFFFU, sum[k], 2));
        most[k] = fabsf(sum[k]);
#pragma unroll
        for (int step = 4; step < 32; step *= 2) {
            most[k] = fmaxf(most[k], __shfl_xor_sync(0xFFFFFFFFU, most[k], step));
        }
    }
    if (inside == 0 && token < layout.tokens) {
        work.basis_weights()[token] = {sum[0], sum[1], sum[2], sum[3]};
    }
    if (threadIdx.x % 32 == 0) { // bits of floats that are not negative are in the order of the floats
        for (int k = 0; k < kRank; ++k) {
            atomicMax(work.weight_peaks() + k, __float_as_int(most[k]));
        }
    }
}

} // namespace
} // namespace wander::quant::cuda
