#pragma once
// What all kernels of the page encoder share: where a block's head finds its data, reading of source values, roundings.
// Only for the .cu file of the encoder: everything has internal linkage. blockIdx.y is the head, blockIdx.z the page.

#include "quant/cuda/page_decode.cuh"
#include "quant/cuda/qvg_encode.hpp"
#include "quant/qvg/page_rules.hpp"

namespace wander::quant::cuda {
namespace {

// What the rows of a stage are: source values, clustered about their mean; what the mean, as it is stored, leaves of
// them; or rows without a mean, as they lie there.
enum class Rows : std::uint8_t { source, about_mean, left_over };

// kBf16: source values are bfloat16, else float32. Known when compiling, so that loads of several values can be under
// way at once.
template <bool kBf16, Rows kRows>
struct Work {
    EncodeBatch batch;
    EncodeScratch scratch;
    int stage = 0;
    bool in_book = false; // clusters are those of the session codebook

    __host__ __device__ int clusters() const { return in_book ? batch.layout.book_centroids : batch.layout.centroids; }
    __device__ const QvgPageLayout& layout() const { return batch.layout; }
    __device__ std::int64_t head_index() const {
        return static_cast<std::int64_t>(blockIdx.z) * batch.layout.heads + blockIdx.y;
    }
    __device__ int& peak() const {
        return scratch.peaks[static_cast<std::int64_t>(stage) * batch.count * batch.layout.heads + head_index()];
    }
    __device__ float* mean() const { return scratch.mean + head_index() * batch.layout.head_dim; }
    __device__ float* lowest() const { return scratch.lowest + head_index() * batch.layout.head_dim; }
    __device__ float* highest() const { return scratch.highest + head_index() * batch.layout.head_dim; }
    __device__ StepGrid& grid() const { return scratch.grids[head_index()]; }
    __device__ float* centroids() const {
        return scratch.centroids + head_index() * scratch.clusters * batch.layout.head_dim;
    }
    __device__ int row_words() const { return padded_words(batch.layout.head_dim); }
    __device__ int padded() const { return padded_clusters(clusters()); }
    __device__ int* coarse() const {
        return scratch.coarse + head_index() * padded_clusters(scratch.clusters) * row_words();
    }
    __device__ int* norms() const { return scratch.norms + head_index() * padded_clusters(scratch.clusters); }
    // [clusters][4][head_dim / 4]: channel 4 f + i at [i][f], so that the threads of a warp meet different banks.
    __device__ int* sums() const { return scratch.sums + head_index() * scratch.clusters * batch.layout.head_dim; }
    __device__ int* members() const { return scratch.members + head_index() * scratch.clusters; }
    // [head_dim / 4][kStartDraws * clusters + 1]
    __device__ int* candidates() const {
        return scratch.candidates +
               head_index() * (scratch.clusters * qvg::kStartDraws + 1) * (batch.layout.head_dim / 4);
    }
    __device__ std::uint8_t* ids() const { return scratch.ids + head_index() * batch.layout.tokens; }
    // The centroid of a token, as it was stored.
    __device__ const std::uint16_t* stored_centroid(int token) const {
        const EncodePage& entry = batch.pages[blockIdx.z];
        const int head = static_cast<int>(blockIdx.y);
        const std::uint8_t* row =
            in_book ? reinterpret_cast<const std::uint8_t*>(entry.codebook) + batch.layout.book_row(head, ids()[token])
                    : entry.page + batch.layout.centroid_row(head, ids()[token], stage);
        return reinterpret_cast<const std::uint16_t*>(row);
    }
    // [head_dim][head_dim], channels in the order of sums().
    __device__ int* covariance() const {
        return scratch.covariance + head_index() * batch.layout.head_dim * batch.layout.head_dim;
    }
    __device__ float* basis() const { return scratch.basis + head_index() * batch.layout.rank * batch.layout.head_dim; }
    __device__ int* weight_peaks() const { return scratch.weight_peaks + head_index() * batch.layout.rank; }
    __device__ float4* basis_weights() const {
        return reinterpret_cast<float4*>(scratch.basis_weights) + head_index() * batch.layout.tokens;
    }
};

template <bool kBf16, Rows kRows>
__device__ const std::uint8_t* source_at(const Work<kBf16, kRows>& work, int token, int channel) {
    const auto& layout = work.layout();
    const std::int64_t at = (static_cast<std::int64_t>(token) * layout.heads + blockIdx.y) * layout.head_dim + channel;
    return static_cast<const std::uint8_t*>(work.batch.pages[blockIdx.z].rows) + at * (kBf16 ? 2 : 4);
}

// kCount channels (2, 4 or 8) from a multiple of as many.
template <int kCount, bool kBf16, Rows kRows>
__device__ void load_source(const Work<kBf16, kRows>& work, int token, int channel, float (&out)[kCount]) {
    const std::uint8_t* at = source_at(work, token, channel);
    if constexpr (kBf16) {
        std::uint32_t words[kCount / 2];
        if constexpr (kCount == 2) {
            words[0] = *reinterpret_cast<const std::uint32_t*>(at);
        } else {
            load_words<kCount / 2>(at, words);
        }
#pragma unroll
        for (int c = 0; c < kCount; c += 2) {
            out[c] = bf16_low(words[c / 2]);
            out[c + 1] = bf16_high(words[c / 2]);
        }
    } else {
#pragma unroll
        for (int c = 0; c < kCount; c += 2) {
            const float2 pair = *reinterpret_cast<const float2*>(at + 4 * c);
            out[c] = pair.x;
            out[c + 1] = pair.y;
        }
    }
}

__device__ void load_floats(const float* at, float (&out)[8]) {
    const float4 low = reinterpret_cast<const float4*>(at)[0];
    const float4 high = reinterpret_cast<const float4*>(at)[1];
    out[0] = low.x, out[1] = low.y, out[2] = low.z, out[3] = low.w;
    out[4] = high.x, out[5] = high.y, out[6] = high.z, out[7] = high.w;
}

__device__ std::uint16_t to_bf16(float value) {
    const std::uint32_t bits = __float_as_uint(value);
    return static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}
__device__ float rounded_bf16(float value) { return bf16_low(to_bf16(value)); }

// A source value as the stage has it.
template <bool kBf16, Rows kRows>
__device__ float row_value(float value, float mean) {
    if constexpr (kRows == Rows::about_mean) {
        return rounded_bf16(__fsub_rn(kBf16 ? value : rounded_bf16(value), mean));
    }
    return value;
}

// The same about the mean.
template <bool kBf16, Rows kRows>
__device__ float point_value(float value, float mean) {
    if constexpr (kRows == Rows::source) {
        return __fsub_rn(value, mean);
    }
    return row_value<kBf16, kRows>(value, mean);
}

// Bytes of the e4m3 number nearest to a value that is not negative.
__device__ int nearest_byte(float value) {
    const std::uint32_t bits = __float_as_uint(value);
    if (value < 0x1p-6F) {
        return static_cast<int>(__float_as_uint(__fadd_rn(value, 0x1p14F)) & 0xFU);
    }
    const int byte = static_cast<int>((bits + 0x7FFFFU + ((bits >> 20) & 1U)) >> 20) - (120 << 3);
    return byte > 126 ? 126 : byte;
}

// Steps to the nearest whole number, in the lower half of the result.
__device__ std::uint32_t whole_steps(float point, float inverse, float rounder = qvg::kRounder) {
    return __float_as_uint(__fadd_rn(__fmul_rn(point, inverse), rounder));
}

// The upper eight bits of the steps of four points, one a byte. Half of 256 is added first; it is even, so it does not
// change which whole number is nearest.
__device__ unsigned coarse_word(float p0, float p1, float p2, float p3, float inverse) {
    constexpr float kRounder = qvg::kRounder + 128.0F;
    const unsigned low = __byte_perm(whole_steps(p0, inverse, kRounder), whole_steps(p1, inverse, kRounder), 0x0051);
    const unsigned high = __byte_perm(whole_steps(p2, inverse, kRounder), whole_steps(p3, inverse, kRounder), 0x0051);
    return __byte_perm(low, high, 0x5410);
}

// All threads get the largest of a block's values, none of them negative.
__device__ float block_max(float value) {
    __shared__ float of_warp[32];
#pragma unroll
    for (int step = 16; step > 0; step /= 2) {
        value = fmaxf(value, __shfl_xor_sync(0xFFFFFFFFU, value, step));
    }
    if (threadIdx.x % 32 == 0) {
        of_warp[threadIdx.x / 32] = value;
    }
    __syncthreads();
    for (int w = 0; w < static_cast<int>(blockDim.x) / 32; ++w) {
        value = fmaxf(value, of_warp[w]);
    }
    return value;
}

__device__ int warp_sum(int value) {
#pragma unroll
    for (int step = 16; step > 0; step /= 2) {
        value += __shfl_xor_sync(0xFFFFFFFFU, value, step);
    }
    return value;
}

// c += a b in whole numbers: a 16 x 32, b 32 x 8, c 16 x 8. With g = lane / 4 and t = lane % 4, a[0] and a[2] hold
// columns 4 t.. and 16 + 4 t.. of row g, a[1] and a[3] of row g + 8; b the same rows of column g; c[0] and c[1] columns
// 2 t and 2 t + 1 of row g, c[2] and c[3] of row g + 8.
__device__ void multiply(int (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
#if __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
    const unsigned b[2] = {b0, b1};
#pragma unroll
    for (int part = 0; part < 4; ++part) { // rows 0..7 and 8..15 in turns, then the second half of the columns
        int* of = c + part % 2 * 2;
        asm volatile("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%0,%1}, {%2}, {%3}, {%0,%1};"
                     : "+r"(of[0]), "+r"(of[1])
                     : "r"(a[part]), "r"(b[part / 2]));
    }
#endif
}

} // namespace
} // namespace wander::quant::cuda
