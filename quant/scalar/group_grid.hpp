#pragma once
// The grid of one group of values, for host code and kernels: the same bits on both.
//
// Every product and sum is rounded once (no contraction). The minimum is never clamped into the range of the codes: a
// group may lie anywhere.

#include "quant/scalar/number_codes.hpp"
#include "quant/scalar/page_layout.hpp"

namespace wander::quant::scalar {

#if defined(__CUDA_ARCH__)
__device__ inline float add(float a, float b) { return __fadd_rn(a, b); }
__device__ inline float subtract(float a, float b) { return __fsub_rn(a, b); }
__device__ inline float multiply(float a, float b) { return __fmul_rn(a, b); }
__device__ inline float divide(float a, float b) { return __fdiv_rn(a, b); }
#else
WANDER_HOST_DEVICE inline float add(float a, float b) { return a + b; }
WANDER_HOST_DEVICE inline float subtract(float a, float b) { return a - b; }
WANDER_HOST_DEVICE inline float multiply(float a, float b) { return a * b; }
WANDER_HOST_DEVICE inline float divide(float a, float b) { return a / b; }
#endif

struct GroupGrid {
    float step = 0;
    float base = 0;
    float reciprocal = 0;    // of the step; 0 where the step is 0
    std::uint16_t scale = 0; // as stored: float16 or e4m3
    std::uint8_t minimum = 0;
};

// The powers of two that a head's e4m3 steps and minima are multiples of.
struct HeadUnits {
    float step = 1;
    float minimum = 1;
};

// Largest code of the grid; symmetric grids have an odd number of levels, zero in the middle.
WANDER_HOST_DEVICE constexpr float top_code(ScalarCode code, GroupParameters parameters) {
    const float levels = static_cast<float>((1 << code_bits(code)) - 1);
    return parameters == GroupParameters::e4m3_pair ? levels : levels - 1.0F;
}
WANDER_HOST_DEVICE constexpr float middle_code(ScalarCode code) {
    return code == ScalarCode::e4m3 ? 0.0F : static_cast<float>((1 << (code_bits(code) - 1)) - 1);
}

// Steps are stored as float16 numbers of about the group's largest magnitude, times this power of two: float16 has no
// precision left where steps of values below 1e-3 lie.
WANDER_HOST_DEVICE constexpr float half_unit(ScalarCode code) {
    return code == ScalarCode::e4m3 ? 0x1p-8F : code == ScalarCode::eight_bit ? 0x1p-7F : 0x1p-3F;
}

// 2^(floor(log2 reach) - 7): the reach becomes 128 to 256, so nothing saturates and the normal numbers of e4m3 span
// 2^13. The power of two is kept away from float's own limits.
WANDER_HOST_DEVICE inline float reach_unit(float reach) {
    const std::uint32_t exponent = float_bits(reach) >> 23;
    return bits_float(((exponent < 32U ? 32U : exponent > 246U ? 246U : exponent) - 7U) << 23);
}
WANDER_HOST_DEVICE inline float unit_inverse(float unit) { return bits_float((254U << 23) - float_bits(unit)); }

// What a group adds to the head's reach, never a negative zero. The step is a part of the way from the stored minimum,
// which lies up to an eighth of itself lower than the true one.
WANDER_HOST_DEVICE inline float step_reach(float low, float high, float top) {
    const float magnitude = low < 0.0F ? -low : low;
    return add(divide(add(subtract(high, low), multiply(magnitude, 0.125F)), top), 0.0F);
}
WANDER_HOST_DEVICE inline float minimum_reach(float low) { return add(low < 0.0F ? -low : low, 0.0F); }

// magnitude: the largest in the group.
WANDER_HOST_DEVICE inline GroupGrid symmetric_grid(ScalarCode code, float magnitude) {
    GroupGrid grid;
    const float middle = middle_code(code);
    const float step = divide(magnitude, code == ScalarCode::e4m3 ? 448.0F : middle);
    grid.scale = float_to_half(add(divide(step, half_unit(code)), 0.0F)); // no negative zero
    grid.step = multiply(half_to_float(grid.scale), half_unit(code));
    grid.base = subtract(0.0F, multiply(middle, grid.step));
    grid.reciprocal = grid.step > 0.0F ? divide(1.0F, grid.step) : 0.0F;
    return grid;
}

// The minimum is rounded to nearest, and down where that lost more than a step of the lowest values; the step reaches
// from the rounded minimum to the group's maximum. (Normal values, groups of 64, 4 bits: 4 % more squared error than
// with float16 parameters, at a quarter of a bit less; 2 bits: 0.1 %.)
WANDER_HOST_DEVICE inline GroupGrid asymmetric_grid(float low, float high, float top, HeadUnits units) {
    GroupGrid grid;
    const float scaled = add(multiply(low, unit_inverse(units.minimum)), 0.0F); // no negative zero
    grid.minimum = float_to_e4m3(scaled);
    grid.base = multiply(e4m3_to_float(grid.minimum), units.minimum);
    if (subtract(grid.base, low) > divide(subtract(high, low), top)) {
        grid.minimum = float_to_e4m3_below(scaled);
        grid.base = multiply(e4m3_to_float(grid.minimum), units.minimum);
    }
    const float span = subtract(high, grid.base);
    const float step = span > 0.0F ? divide(span, top) : 0.0F;
    const std::uint8_t scale = float_to_e4m3(multiply(step, unit_inverse(units.step)));
    grid.scale = scale;
    grid.step = multiply(e4m3_to_float(scale), units.step);
    grid.reciprocal = grid.step > 0.0F ? divide(1.0F, grid.step) : 0.0F;
    return grid;
}

// 1 / sqrt(head_dim) of a power of two.
WANDER_HOST_DEVICE inline float hadamard_norm(int head_dim) {
    float norm = 1.0F;
    for (; head_dim >= 4; head_dim /= 4) {
        norm *= 0.5F;
    }
    return head_dim == 2 ? norm * 0.70710678F : norm;
}

} // namespace wander::quant::scalar
