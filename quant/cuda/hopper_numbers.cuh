#pragma once
// Numbers of Hopper's attention kernel: powers of two, and narrow values that are packed in pairs. Device code.

#include <cstdint>

namespace wander::quant::cuda::hopper {

__device__ inline float exp2_fast(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// The first value in the lowest byte, none in the upper two; saturates at 448.
__device__ inline std::uint32_t two_e4m3(float a, float b) {
    std::uint32_t two;
    asm("{\n.reg .b16 low, none;\n"
        "mov.b16 none, 0;\n"
        "cvt.rn.satfinite.e4m3x2.f32 low, %2, %1;\n"
        "mov.b32 %0, {low, none};\n}\n"
        : "=r"(two)
        : "f"(a), "f"(b));
    return two;
}

__device__ inline std::uint32_t two_bf16(float low, float high) {
    std::uint32_t both;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    return both;
}

} // namespace wander::quant::cuda::hopper
