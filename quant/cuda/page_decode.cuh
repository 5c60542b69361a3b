#pragma once
// Reads pages on the device: a few consecutive channels of one token of one head, un-rotated, as float. Include from
// .cu only.
//
// Bit for bit what PageFormat::decode_rows gives on the CPU. A packed page must lie on an address that 64 divides
// (torch's allocator gives 512); the channel must be a multiple of the number of channels read.

#include "quant/formats/qvg_page_layout.hpp"

#include <cuda_bf16.h>

#include <cstdint>

namespace wander::quant::cuda {

__device__ inline float e4m3_scale(std::uint8_t byte) { // scales are never negative
    const std::uint32_t magnitude = byte & 0x7F;
    return magnitude < 8 ? static_cast<float>(magnitude) * 0x1p-9F : __uint_as_float((magnitude << 20) + (120U << 23));
}

__device__ inline float bf16_low(std::uint32_t pair) { return __uint_as_float(pair << 16); }
__device__ inline float bf16_high(std::uint32_t pair) { return __uint_as_float(pair & 0xFFFF0000U); }

// Pairs of bfloat16 in one load; the address must be a multiple of its size.
template <int kWords>
__device__ inline void load_words(const std::uint8_t* at, std::uint32_t (&words)[kWords]) {
    static_assert(kWords == 2 || kWords == 4);
    if constexpr (kWords == 4) {
        const uint4 v = *reinterpret_cast<const uint4*>(at);
        words[0] = v.x, words[1] = v.y, words[2] = v.z, words[3] = v.w;
    } else {
        const uint2 v = *reinterpret_cast<const uint2*>(at);
        words[0] = v.x, words[1] = v.y;
    }
}

// out += weight * row; a weight of 1 changes nothing.
template <int kChannels>
__device__ inline void add_row(const std::uint32_t (&row)[kChannels / 2], float weight, float (&out)[kChannels]) {
#pragma unroll
    for (int c = 0; c < kChannels; ++c) {
        const float value = c % 2 == 0 ? bf16_low(row[c / 2]) : bf16_high(row[c / 2]);
        out[c] = __fadd_rn(out[c], __fmul_rn(weight, value));
    }
}

template <int kChannels, int kRows>
__device__ inline void add_basis(const std::uint8_t* page, const QvgPageLayout& layout, const int (&tokens)[kRows],
                                 int head, int channel, float (&out)[kRows][kChannels]) {
    const auto* spans = reinterpret_cast<const float*>(page + layout.span_row(head));
    for (int k = 0; k < layout.rank; ++k) {
        std::uint32_t row[kChannels / 2];
        load_words<kChannels / 2>(page + layout.basis_row(head, k) + channel * 2, row);
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
            const auto* weights = reinterpret_cast<const std::int8_t*>(page + layout.weight_row(head, tokens[r]));
            add_row(row, __fmul_rn(spans[k], static_cast<float>(weights[k])), out[r]);
        }
    }
}

// What pages have beside the centroids of their first stage.
template <int kChannels, int kRows>
__device__ inline void add_others(const std::uint8_t* page, const std::uint8_t* book, const QvgPageLayout& layout,
                                  const int (&tokens)[kRows], int head, int channel, float (&out)[kRows][kChannels]) {
    std::uint32_t centroids[kRows][kChannels / 2];
    for (int stage = 1; stage < layout.stages; ++stage) {
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
            const int id = layout.id(page, head, tokens[r], stage);
            load_words<kChannels / 2>(page + layout.centroid_row(head, id, stage) + channel * 2, centroids[r]);
        }
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
            add_row(centroids[r], 1.0F, out[r]);
        }
    }
    if (layout.book_centroids > 0) {
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
            load_words<kChannels / 2>(book + layout.book_row(head, layout.book_id(page, head, tokens[r])) + channel * 2,
                                      centroids[r]);
            add_row(centroids[r], 1.0F, out[r]);
        }
    }
    if (layout.rank > 0) {
        add_basis(page, layout, tokens, head, channel, out);
    }
}

// Codes of kChannels channels of some tokens, first channel in the highest bits of the first byte; what the tokens need
// is read side by side. book: the session codebook, null without one. kOneStage: the page has nothing but its first
// stage.
template <int kChannels, bool kOneStage, int kRows>
__device__ inline void decode_rows(const std::uint8_t* page, const std::uint8_t* book, const QvgPageLayout& layout,
                                   float middle, const int (&tokens)[kRows], int head, int channel,
                                   float (&out)[kRows][kChannels]) {
    static_assert(kChannels == 4 || kChannels == 8);
    std::uint32_t codes[kRows];
    float quarters[kRows]; // four scales: a code counts in quarters below
    std::uint32_t centroids[kRows][kChannels / 2];
    int ids[kRows];
    // 32 bits reach over any page.
    const auto first = static_cast<std::uint32_t>(head) * static_cast<std::uint32_t>(layout.tokens);
    const auto code_bytes = static_cast<std::uint32_t>(layout.head_dim) / 4;
    const std::uint32_t block_shift = 31U - static_cast<std::uint32_t>(__clz(layout.block)); // a power of two
    const std::uint32_t scale_bytes = static_cast<std::uint32_t>(layout.head_dim) >> block_shift;
    const std::uint8_t* const code_plane = page + layout.codes_at + channel / 4;
    const std::uint8_t* const scale_plane =
        page + layout.scales_at + (static_cast<std::uint32_t>(channel) >> block_shift);
    const std::uint8_t* const id_plane = page + layout.id_row(head, 0);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
        const std::uint32_t row = first + static_cast<std::uint32_t>(tokens[r]);
        const std::uint32_t bit = static_cast<std::uint32_t>(tokens[r]) * static_cast<std::uint32_t>(layout.id_bits);
        const std::uint8_t* const at = id_plane + (bit >> 3U);
        const std::uint32_t pair = at[0] | static_cast<std::uint32_t>(at[1]) << 8U;
        ids[r] = static_cast<int>((pair >> (bit & 7U)) & ((1U << static_cast<std::uint32_t>(layout.id_bits)) - 1U));
        quarters[r] = 4 * e4m3_scale(scale_plane[row * scale_bytes]);
        const std::uint8_t* const code = code_plane + row * code_bytes;
        if constexpr (kChannels == 8) {
            codes[r] = __byte_perm(*reinterpret_cast<const std::uint16_t*>(code), 0, 0x4401);
        } else {
            codes[r] = *code;
        }
    }
    const std::uint8_t* const centroid_plane = page + layout.centroid_row(head, 0) + channel * 2;
    const std::uint32_t centroid_bytes = static_cast<std::uint32_t>(layout.head_dim) * 2;
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
        load_words<kChannels / 2>(centroid_plane + static_cast<std::uint32_t>(ids[r]) * centroid_bytes, centroids[r]);
    }
    // The first code stands in the two highest bits of a mantissa: with an exponent of zero it is 1 + code / 4.
    // Products are exact, so that one rounding of product and sum is the sum's alone.
    const float zero = 1 + middle / 4;
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
        const std::uint32_t mantissas = codes[r] << (23U - 2U * kChannels);
#pragma unroll
        for (int c = 0; c < kChannels; ++c) {
            const float code = __uint_as_float(((mantissas << (2 * c)) & 0x600000U) | 0x3F800000U);
            const float base = c % 2 == 0 ? bf16_low(centroids[r][c / 2]) : bf16_high(centroids[r][c / 2]);
            out[r][c] = fmaf(code - zero, quarters[r], base);
        }
    }
    if constexpr (!kOneStage) {
        add_others(page, book, layout, tokens, head, channel, out);
    }
}

// The same for one token.
template <int kChannels>
__device__ inline void decode_packed(const std::uint8_t* page, const std::uint8_t* book, const QvgPageLayout& layout,
                                     float middle, int token, int head, int channel, float (&out)[kChannels]) {
    const int tokens[1] = {token};
    float rows[1][kChannels];
    decode_rows<kChannels, false>(page, book, layout, middle, tokens, head, channel, rows);
#pragma unroll
    for (int c = 0; c < kChannels; ++c) {
        out[c] = rows[0][c];
    }
}

} // namespace wander::quant::cuda
