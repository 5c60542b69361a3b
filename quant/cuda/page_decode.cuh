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

// What a kernel needs to know of one page. Raw pages are [tokens, heads, head_dim] of the compute type, without header.
struct PageSource {
    const std::uint8_t* page = nullptr;
    PageDecoder decoder = PageDecoder::raw;
    bool raw_bf16 = false; // of raw pages: bfloat16, else float32
    QvgPageLayout layout;  // of raw pages only tokens, heads and head_dim count
};

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

// Codes of kChannels channels, first channel in the highest bits of the first byte.
template <int kChannels>
__device__ inline void decode_packed(const std::uint8_t* page, const QvgPageLayout& layout, float middle, int token,
                                     int head, int channel, float (&out)[kChannels]) {
    const float scale = e4m3_scale(page[layout.scale_row(head, token) + channel / layout.block]);
    const std::uint8_t* codes = page + layout.code_row(head, token) + channel / 4;
    std::uint32_t centroid[kChannels / 2];
    load_words<kChannels / 2>(page + layout.centroid_row(head, layout.id(page, head, token)) + channel * 2, centroid);
#pragma unroll
    for (int c = 0; c < kChannels; ++c) {
        const auto code = static_cast<float>((codes[c / 4] >> (6 - 2 * (c % 4))) & 3);
        const float base = c % 2 == 0 ? bf16_low(centroid[c / 2]) : bf16_high(centroid[c / 2]);
        out[c] = __fadd_rn(__fmul_rn(code - middle, scale), base);
    }
}

template <int kChannels>
__device__ inline void decode_raw(const PageSource& source, int token, int head, int channel, float (&out)[kChannels]) {
    const std::int64_t at =
        (static_cast<std::int64_t>(token) * source.layout.heads + head) * source.layout.head_dim + channel;
    if (source.raw_bf16) {
        std::uint32_t pairs[kChannels / 2];
        load_words<kChannels / 2>(source.page + at * 2, pairs);
#pragma unroll
        for (int c = 0; c < kChannels; ++c) {
            out[c] = c % 2 == 0 ? bf16_low(pairs[c / 2]) : bf16_high(pairs[c / 2]);
        }
    } else {
#pragma unroll
        for (int c = 0; c < kChannels; c += 4) {
            const float4 v = *reinterpret_cast<const float4*>(source.page + (at + c) * 4);
            out[c] = v.x, out[c + 1] = v.y, out[c + 2] = v.z, out[c + 3] = v.w;
        }
    }
}

// Channels [channel, channel + kChannels) of token `token` (counted inside the page) of head `head`; kChannels is 4
// or 8.
template <int kChannels>
__device__ inline void decode_channels(const PageSource& source, int token, int head, int channel,
                                       float (&out)[kChannels]) {
    static_assert(kChannels == 4 || kChannels == 8);
    switch (source.decoder) {
        case PageDecoder::raw: decode_raw(source, token, head, channel, out); break;
        case PageDecoder::four_level: decode_packed(source.page, source.layout, 1.5F, token, head, channel, out); break;
        case PageDecoder::ternary: decode_packed(source.page, source.layout, 1.0F, token, head, channel, out); break;
    }
}

} // namespace wander::quant::cuda
