#pragma once
// float8 e4m3fn and bfloat16 as the codec stores them. Plain scalar conversions, any thread.
//
// e4m3fn: bias 7, largest 448, smallest subnormal 2^-9, no infinities. Both conversions round to nearest even; e4m3
// saturates.

#include <bit>
#include <cstdint>

namespace wander::quant::qvg {

inline float bf16_to_float(std::uint16_t bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

// Not for NaN.
inline std::uint16_t float_to_bf16(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    return static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

inline float round_bf16(float value) { return bf16_to_float(float_to_bf16(value)); }

inline float e4m3_to_float(std::uint8_t byte) {
    const auto magnitude = static_cast<std::uint32_t>(byte & 0x7F);
    const float value = magnitude < 8 ? static_cast<float>(magnitude) * 0x1p-9F
                                      : std::bit_cast<float>((magnitude << 20) + (120U << 23));
    return (byte & 0x80) != 0 ? -value : value;
}

inline std::uint8_t float_to_e4m3(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const auto sign = static_cast<std::uint8_t>((bits >> 24) & 0x80);
    const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
    std::uint32_t code = 0;
    if (magnitude < (121U << 23)) { // below 2^-6: multiples of 2^-9; adding 2^14 leaves exactly those bits
        const float shifted = std::bit_cast<float>(magnitude) + 0x1p14F;
        code = std::bit_cast<std::uint32_t>(shifted) & 0xFU;
    } else {
        code = (magnitude + 0x7FFFFU + ((magnitude >> 20) & 1U)) >> 20;
        code = code - (120U << 3) > 126U ? 126U : code - (120U << 3);
    }
    return static_cast<std::uint8_t>(sign | code);
}

} // namespace wander::quant::qvg
