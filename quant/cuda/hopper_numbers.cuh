#pragma once
// Numbers of Hopper's attention kernel: powers of two, and narrow values that are packed in pairs. Device code.

#include <cstdint>

namespace wander::quant::cuda::hopper {

__device__ inline float exp2_fast(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// Two numbers, the first in the lower half, as whole numbers in two halves, which have them behind an offset of 1,024:
// up to 255 in their lowest bytes. Rounded to the nearest, above 1,024 to what halves have; 0 where they are less.
__device__ inline std::uint32_t two_whole(float low, float high) {
    std::uint32_t both;
    asm("cvt.rn.relu.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    asm("add.rn.f16x2 %0, %0, %1;" : "+r"(both) : "r"(0x64006400U)); // 1024: from there on halves are whole
    return both;
}
// Whether one of two_whole() is above `most`, a whole number. (Positive halves are in the order of their bits.)
__device__ inline bool any_above(std::uint32_t both, unsigned most) {
    return ((both + (0x7FFFU - 0x6400U - most) * 0x10001U) & 0x80008000U) != 0;
}
// The number that two_whole() has of one of them in the lower half; what is larger than 1,024 was rounded.
__device__ inline float whole_of(std::uint32_t bits) {
    float value;
    asm("{\n.reg .b16 low;\ncvt.u16.u32 low, %1;\ncvt.f32.f16 %0, low;\n}\n" : "=f"(value) : "r"(bits));
    return fminf(value, 65504.0F) - 1024.0F; // the largest half instead of what is none
}
// Both less `off`, a whole number, and at least 0.
__device__ inline std::uint32_t less_whole(std::uint32_t both, float off) {
    std::uint32_t offs;
    asm("cvt.rn.f16x2.f32 %0, %1, %1;" : "=r"(offs) : "f"(-off));
    asm("add.rn.f16x2 %0, %0, %1;" : "+r"(both) : "r"(offs));
    asm("max.NaN.f16x2 %0, %0, %1;" : "+r"(both) : "r"(0x64006400U));
    return both;
}
// Both, at most `most`; what is no number stays so.
__device__ inline std::uint32_t at_most_whole(std::uint32_t both, unsigned most) {
    asm("min.NaN.f16x2 %0, %0, %1;" : "+r"(both) : "r"((0x6400U + most) * 0x10001U));
    return both;
}

__device__ inline std::uint32_t two_bf16(float low, float high) {
    std::uint32_t both;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    return both;
}

} // namespace wander::quant::cuda::hopper
