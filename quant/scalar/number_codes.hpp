#pragma once
// float16 and float8 e4m3fn as the scalar formats store them, for host code and kernels: the same bits on both.
//
// Both conversions round to nearest even and saturate (65504, 448); there are no infinities in pages. e4m3fn: bias 7,
// smallest subnormal 2^-9.

#include "quant/plain/host_device.hpp"

#include <bit>
#include <cstdint>

namespace wander::quant::scalar {

WANDER_HOST_DEVICE inline std::uint32_t float_bits(float value) {
#if defined(__CUDA_ARCH__)
    return __float_as_uint(value);
#else
    return std::bit_cast<std::uint32_t>(value);
#endif
}

WANDER_HOST_DEVICE inline float bits_float(std::uint32_t bits) {
#if defined(__CUDA_ARCH__)
    return __uint_as_float(bits);
#else
    return std::bit_cast<float>(bits);
#endif
}

WANDER_HOST_DEVICE inline float half_to_float(std::uint16_t half) { // exact; subnormals too
    const std::uint32_t magnitude = half & 0x7FFFU;
    const float value =
        magnitude < 0x400U ? static_cast<float>(magnitude) * 0x1p-24F : bits_float((magnitude << 13) + (112U << 23));
    return bits_float(float_bits(value) | (static_cast<std::uint32_t>(half & 0x8000U) << 16));
}

WANDER_HOST_DEVICE inline std::uint16_t float_to_half(float value) {
    const std::uint32_t bits = float_bits(value);
    const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
    std::uint32_t code = 0;
    if (magnitude < (113U << 23)) { // below 2^-14: multiples of 2^-24; adding 0.5 leaves exactly those bits
        code = float_bits(bits_float(magnitude) + 0.5F) & 0x7FFU;
    } else {
        code = ((magnitude + 0xFFFU + ((magnitude >> 13) & 1U)) >> 13) - (112U << 10);
        code = code > 0x7BFFU ? 0x7BFFU : code;
    }
    return static_cast<std::uint16_t>(((bits >> 16) & 0x8000U) | code);
}

WANDER_HOST_DEVICE inline float e4m3_to_float(std::uint8_t byte) {
    const std::uint32_t magnitude = byte & 0x7FU;
    const float value =
        magnitude < 8 ? static_cast<float>(magnitude) * 0x1p-9F : bits_float((magnitude << 20) + (120U << 23));
    return bits_float(float_bits(value) | (static_cast<std::uint32_t>(byte & 0x80U) << 24));
}

WANDER_HOST_DEVICE inline std::uint8_t float_to_e4m3(float value) {
    const std::uint32_t bits = float_bits(value);
    const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
    std::uint32_t code = 0;
    if (magnitude < (121U << 23)) { // below 2^-6: multiples of 2^-9; adding 2^14 leaves exactly those bits
        code = float_bits(bits_float(magnitude) + 0x1p14F) & 0xFU;
    } else {
        code = ((magnitude + 0x7FFFFU + ((magnitude >> 20) & 1U)) >> 20) - (120U << 3);
        code = code > 126U ? 126U : code;
    }
    return static_cast<std::uint8_t>(((bits >> 24) & 0x80U) | code);
}

// The largest e4m3 number that is not above `value`; |value| at most 448.
WANDER_HOST_DEVICE inline std::uint8_t float_to_e4m3_below(float value) {
    const std::uint8_t code = float_to_e4m3(value);
    if (e4m3_to_float(code) <= value) {
        return code;
    }
    if ((code & 0x80U) != 0) { // away from zero
        return static_cast<std::uint8_t>(code < 0xFEU ? code + 1U : code);
    }
    return static_cast<std::uint8_t>(code - 1U);
}

} // namespace wander::quant::scalar
