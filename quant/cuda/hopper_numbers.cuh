#pragma once
// Numbers of Hopper's attention kernel: powers of two, and narrow values that are packed in pairs. Device code.

#include <cstdint>

namespace wander::quant::cuda::hopper {

__device__ inline float exp2_fast(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// Two numbers, the first in the lower half, as whole numbers in the lowest bytes of two halves: rounded to the nearest,
// 0 where they are less. At most 255.
__device__ inline std::uint32_t two_whole(float low, float high) {
    std::uint32_t both;
    asm("cvt.rn.relu.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    asm("add.rn.f16x2 %0, %0, %1;" : "+r"(both) : "r"(0x64006400U)); // 1024: from there on halves are whole
    return both;
}

__device__ inline std::uint32_t two_bf16(float low, float high) {
    std::uint32_t both;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    return both;
}

} // namespace wander::quant::cuda::hopper
