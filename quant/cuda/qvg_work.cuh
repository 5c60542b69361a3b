#pragma once
// What all kernels of the page encoder share: where a block's head finds its data, reading of source values, roundings.
// Only for the .cu file of the encoder: everything has internal linkage. blockIdx.y is the head, blockIdx.z the page.

#include "quant/cuda/page_decode.cuh"
#include "quant/cuda/qvg_encode.hpp"
#include "quant/qvg/page_rules.hpp"

namespace wander::quant::cuda {
namespace {

constexpr int kAssignThreads = 128;
constexpr int kAssignCentroids = 16; // sums a thread keeps at once
constexpr int kStartThreads = 1024;
constexpr int kUpdateStretch = 256; // tokens listed at once

// kBf16: source values are bfloat16, else float32. Known when compiling, so that loads of several values can be under
// way at once.
template <bool kBf16>
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
    __device__ float* mean() const { return scratch.mean + head_index() * batch.layout.head_dim; }
    __device__ float* centroids() const {
        return scratch.centroids + head_index() * most_clusters() * batch.layout.head_dim;
    }
    __device__ int most_clusters() const { return max(batch.layout.centroids, batch.layout.book_centroids); }
    __device__ int panels() const { return (most_clusters() + kAssignCentroids - 1) / kAssignCentroids; }
    __device__ float* relative() const {
        return scratch.relative + head_index() * panels() * kAssignCentroids * batch.layout.head_dim;
    }
    __device__ float* half_norms() const { return scratch.half_norms + head_index() * panels() * kAssignCentroids; }
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
    __device__ float* basis() const { return scratch.basis + head_index() * batch.layout.rank * batch.layout.head_dim; }
    __device__ float* basis_sums() const {
        return scratch.basis_sums + head_index() * qvg::kMeanParts * batch.layout.rank * batch.layout.head_dim;
    }
    __device__ float4* basis_weights() const {
        return reinterpret_cast<float4*>(scratch.basis_weights) + head_index() * batch.layout.tokens;
    }
};

template <bool kBf16>
__device__ float source(const Work<kBf16>& work, int token, int channel) {
    const auto& layout = work.layout();
    const std::int64_t at = (static_cast<std::int64_t>(token) * layout.heads + blockIdx.y) * layout.head_dim + channel;
    const void* rows = work.batch.pages[blockIdx.z].rows;
    if constexpr (kBf16) {
        return bf16_low(static_cast<const std::uint16_t*>(rows)[at]);
    }
    return static_cast<const float*>(rows)[at];
}

// Four channels from a multiple of 4.
template <bool kBf16>
__device__ float4 source4(const Work<kBf16>& work, int token, int channel) {
    const auto& layout = work.layout();
    const std::int64_t at = (static_cast<std::int64_t>(token) * layout.heads + blockIdx.y) * layout.head_dim + channel;
    const auto* rows = static_cast<const std::uint8_t*>(work.batch.pages[blockIdx.z].rows);
    if constexpr (kBf16) {
        const uint2 pair = *reinterpret_cast<const uint2*>(rows + at * 2);
        return {bf16_low(pair.x), bf16_high(pair.x), bf16_low(pair.y), bf16_high(pair.y)};
    }
    return *reinterpret_cast<const float4*>(rows + at * 4);
}

__device__ std::uint16_t to_bf16(float value) {
    const std::uint32_t bits = __float_as_uint(value);
    return static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}
__device__ float rounded_bf16(float value) { return bf16_low(to_bf16(value)); }

// Bytes of the e4m3 number nearest to a value that is not negative.
__device__ int nearest_byte(float value) {
    const std::uint32_t bits = __float_as_uint(value);
    if (value < 0x1p-6F) {
        return static_cast<int>(__float_as_uint(__fadd_rn(value, 0x1p14F)) & 0xFU);
    }
    const int byte = static_cast<int>((bits + 0x7FFFFU + ((bits >> 20) & 1U)) >> 20) - (120 << 3);
    return byte > 126 ? 126 : byte;
}

} // namespace
} // namespace wander::quant::cuda
