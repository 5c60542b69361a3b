#pragma once
// Residuals, scales and codes on the device. Plain twin: qvg/page_encoder.cpp, bit for bit.

#include "quant/cuda/qvg_work.cuh"

namespace wander::quant::cuda {
namespace {

constexpr int kPackThreads = 128;

// Header, centroids and ids of one stage of the page. Padding was cleared before.
template <bool kBf16>
__global__ void book_kernel(Work<kBf16> work, QvgPageHeader header) {
    const QvgPageLayout& layout = work.layout();
    const EncodePage& entry = work.batch.pages[blockIdx.z];
    const int head = static_cast<int>(blockIdx.y);
    if (head == 0 && work.stage == 0 && !work.in_book && threadIdx.x == 0) {
        header.codebook_version = entry.codebook_version;
        header.seed = entry.seed;
        header.is_key = entry.is_key ? 1 : 0;
        *reinterpret_cast<QvgPageHeader*>(entry.page) = header;
    }
    if (!work.in_book) {
        auto* centroids = reinterpret_cast<std::uint16_t*>(entry.page + layout.centroid_row(head, 0, work.stage));
        for (int i = threadIdx.x; i < layout.centroids * layout.head_dim; i += blockDim.x) {
            centroids[i] = to_bf16(work.centroids()[i]);
        }
    }
    const auto bits = static_cast<unsigned>(work.in_book ? layout.book_id_bits : layout.id_bits);
    std::uint8_t* out = entry.page + (work.in_book ? layout.book_id_row(head) : layout.id_row(head, work.stage));
    const std::int64_t bytes = work.in_book ? layout.book_id_head_bytes : layout.id_head_bytes;
    for (std::int64_t b = threadIdx.x; b < bytes; b += blockDim.x) {
        unsigned byte = 0;
        for (int bit = 0; bit < 8; ++bit) {
            const auto at = static_cast<unsigned>(b * 8 + bit);
            const unsigned token = at / bits;
            if (token < static_cast<unsigned>(layout.tokens)) {
                byte |= ((work.ids()[token] >> (at - token * bits)) & 1U) << bit;
            }
        }
        out[b] = static_cast<std::uint8_t>(byte);
    }
}

// What a stage leaves to the next one. Threads: tokens times fours of channels. May read what it overwrites.
template <bool kBf16>
__global__ void residual_kernel(Work<kBf16> work) {
    const QvgPageLayout& layout = work.layout();
    const int fours = layout.head_dim / 4;
    const int index = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (index >= layout.tokens * fours) {
        return;
    }
    const int token = index / fours;
    const int channel = index % fours * 4;
    const std::uint16_t* centroid = work.stored_centroid(token) + channel;
    const float4 x = source4(work, token, channel);
    const float values[4] = {x.x, x.y, x.z, x.w};
    std::uint16_t* out = work.scratch.residual +
                         ((static_cast<std::int64_t>(blockIdx.z) * layout.tokens + token) * layout.heads + blockIdx.y) *
                             layout.head_dim +
                         channel;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        out[i] = to_bf16(__fsub_rn(rounded_bf16(values[i]), bf16_low(centroid[i])));
    }
}

template <int kBlock>
__device__ int four_level_codes(const float (&residual)[kBlock], std::uint32_t (&words)[kBlock / 16]) {
    float power = 0;
#pragma unroll
    for (int c = 0; c < kBlock; ++c) {
        power = __fadd_rn(power, __fmul_rn(residual[c], residual[c]));
    }
    const float rms = __fsqrt_rn(__fdiv_rn(power, static_cast<float>(kBlock)));
    const int middle = nearest_byte(__fmul_rn(qvg::kStartScale, rms));
    int byte = 0;
    float least = INFINITY;
#pragma unroll
    for (int i = 0; i < qvg::kScaleCandidates; ++i) {
        const int candidate = min(max(middle + i - qvg::kScaleCandidates / 2, 0), 126);
        const float step = e4m3_scale(static_cast<std::uint8_t>(candidate));
        float error = 0;
#pragma unroll
        for (int c = 0; c < kBlock; ++c) {
            const float magnitude = fabsf(residual[c]);
            const float miss = __fsub_rn(magnitude, __fmul_rn(magnitude < step ? 0.5F : 1.5F, step));
            error = __fadd_rn(error, __fmul_rn(miss, miss));
        }
        if (i == 0 || error < least) {
            least = error;
            byte = candidate;
        }
    }
    const float step = e4m3_scale(static_cast<std::uint8_t>(byte));
#pragma unroll
    for (int c = 0; c < kBlock; ++c) {
        const unsigned code =
            (residual[c] >= -step ? 1U : 0U) + (residual[c] >= 0 ? 1U : 0U) + (residual[c] >= step ? 1U : 0U);
        words[c / 16] |= code << (c % 16 / 4 * 8 + 6 - 2 * (c % 4));
    }
    return byte;
}

// As quantise_block(), symmetric, 2 bits.
template <int kBlock>
__device__ int ternary_codes(const float (&residual)[kBlock], std::uint32_t (&words)[kBlock / 16]) {
    float magnitude = 1e-10F;
#pragma unroll
    for (int c = 0; c < kBlock; ++c) {
        magnitude = fmaxf(magnitude, fabsf(residual[c]));
    }
    const int byte = nearest_byte(magnitude);
    const float reciprocal = byte == 0 ? 0.0F : __fdiv_rn(1.0F, e4m3_scale(static_cast<std::uint8_t>(byte)));
#pragma unroll
    for (int c = 0; c < kBlock; ++c) {
        const float value = fminf(fmaxf(roundf(__fmul_rn(residual[c], reciprocal)), -1.0F), 1.0F);
        words[c / 16] |= static_cast<unsigned>(static_cast<int>(value) + 1) << (c % 16 / 4 * 8 + 6 - 2 * (c % 4));
    }
    return byte;
}

// Threads: tokens times blocks of channels.
template <int kBlock, bool kBf16>
__global__ void pack_kernel(Work<kBf16> work) {
    const QvgPageLayout& layout = work.layout();
    const int blocks = layout.head_dim / kBlock;
    const int index = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (index >= layout.tokens * blocks) {
        return;
    }
    const int token = index / blocks;
    const int block = index % blocks;
    const int head = static_cast<int>(blockIdx.y);
    std::uint8_t* page = work.batch.pages[blockIdx.z].page;
    const std::uint16_t* centroid = work.stored_centroid(token) + block * kBlock;
    const bool four_level = work.batch.grid == QvgGrid::four_level;
    float residual[kBlock];
#pragma unroll
    for (int c = 0; c < kBlock; c += 4) {
        const float4 x = source4(work, token, block * kBlock + c);
        const float values[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const float base = layout.rank > 0 ? 0.0F : bf16_low(centroid[c + i]);
            residual[c + i] =
                four_level ? __fsub_rn(values[i], base) : rounded_bf16(__fsub_rn(rounded_bf16(values[i]), base));
        }
    }
    if (layout.rank > 0) {
#pragma unroll
        for (int c = 0; c < kBlock; c += 8) {
            float explained[8] = {};
            add_basis(page, layout, token, head, block * kBlock + c, explained);
#pragma unroll
            for (int i = 0; i < 8; ++i) {
                residual[c + i] = __fsub_rn(residual[c + i], explained[i]);
            }
        }
    }
    std::uint32_t words[kBlock / 16] = {};
    const int byte = four_level ? four_level_codes<kBlock>(residual, words) : ternary_codes<kBlock>(residual, words);
    page[layout.scale_row(head, token) + block] = static_cast<std::uint8_t>(byte);
    auto* codes = reinterpret_cast<std::uint32_t*>(page + layout.code_row(head, token) + block * kBlock / 4);
#pragma unroll
    for (int w = 0; w < kBlock / 16; ++w) {
        codes[w] = words[w];
    }
}

} // namespace
} // namespace wander::quant::cuda
