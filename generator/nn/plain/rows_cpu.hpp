#pragma once
// The row-wise pieces of a transformer block as loops over memory, one thread, no torch. bfloat16 values are their
// bits.
//
// Loops are written so that the compiler turns them into SIMD; the width is chosen at run time. The obvious twins are
// torch expressions (nn::plain in rows.hpp); tolerances: float 2e-6 of the largest value, bfloat16 one rounding.

#include "generator/nn/plain/simd_loops.hpp"

#include <cstddef>
#include <cstdint>

namespace wander::nn::cpu {

struct NormRows {
    const float* x = nullptr; // [rows][dim]
    std::int64_t rows = 0;
    std::int64_t dim = 0;
    std::int64_t rows_per_group = 0;
    const float* shift = nullptr; // [groups][dim]
    const float* scale = nullptr;
    float eps = 0;
};
// (x - mean) / sqrt(variance + eps) * scale + shift
void modulated_norm(const NormRows& task, float* out);
void modulated_norm(const NormRows& task, Bf16Bits* out);

struct RmsRows {
    std::int64_t rows = 0;
    std::int64_t dim = 0;
    std::ptrdiff_t stride = 0; // of the input, elements
    const float* weight = nullptr;
    float eps = 0;
};
// x / sqrt(mean(x^2) + eps) * weight; the output is dense.
void rms_norm(const RmsRows& task, const float* x, float* out);
void rms_norm(const RmsRows& task, const Bf16Bits* x, Bf16Bits* out);

struct GatedRows {
    std::int64_t rows = 0;
    std::int64_t dim = 0;
    std::int64_t rows_per_group = 0;
    const float* gate = nullptr; // [groups][dim]
};
// x += gate * y
void add_gated(const GatedRows& task, float* x, const float* y);
void add_gated(const GatedRows& task, float* x, const Bf16Bits* y);

// Tanh form, in place.
void gelu(float* x, std::int64_t count);
void gelu(Bf16Bits* x, std::int64_t count);

} // namespace wander::nn::cpu
