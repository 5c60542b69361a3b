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

} // namespace wander::quant::cuda
