#pragma once
// Launchers of the row-wise kernels of a transformer block on an NVIDIA GPU.
//
// Raw device pointers, the caller's stream, no synchronisation, no allocation. A row is held in registers, so it is
// read once however many passes its statistics take. Arithmetic in float32, sums in a fixed order. Plain twins:
// nn::plain (tests/unit/generator/gpu/rows_cuda_test.cpp, float 2e-6, bfloat16 one rounding).

#include <cstdint>

struct CUstream_st;

namespace wander::nn::cuda {

using Stream = CUstream_st*;

enum class Element { float32, bfloat16, e4m3 };

inline constexpr int kMaxRowDim = 3072; // longest row of the kernels; a multiple of 256

// x += gate * y, then out = LN(x) * scale + shift. Each half may be left out. y is what is stored, times a factor for
// its row and one for its column, plus a bias for its column, where there are such.
struct NormJob {
    std::int64_t rows = 0;
    int dim = 0;
    std::int64_t gate_rows = 1; // consecutive rows that share a row of gate
    std::int64_t norm_rows = 1; // consecutive rows that share a row of shift and scale
    float* x = nullptr;         // [rows][dim], written only with y
    const void* y = nullptr;    // [rows][dim] of y_element (float32 or bfloat16); null: nothing is added
    Element y_element = Element::bfloat16;
    const float* y_row_scale = nullptr;    // [rows]; with y_column_scale
    const float* y_column_scale = nullptr; // [dim]
    const float* y_bias = nullptr;         // [dim]; with y_column_scale
    const float* gate = nullptr;           // [groups][dim]; null: 1
    const float* shift = nullptr;
    const float* scale = nullptr; // [groups][dim]; null: no norm
    float eps = 0;
    void* out = nullptr; // [rows][dim] of out_element
    Element out_element = Element::bfloat16;
    float* out_scale = nullptr; // e4m3: [rows], a value is what is stored times it
};

void launch_norm(const NormJob& job, Stream stream);

// x / sqrt(mean(x^2) + eps) * weight for up to two tensors of one shape, bfloat16. out may be x.
struct RmsJob {
    std::int64_t rows = 0;
    int dim = 0;
    int tensors = 1;
    const void* x[2] = {};
    const float* weight[2] = {};
    void* out[2] = {};
    std::int64_t x_stride = 0; // between rows, values
    std::int64_t out_stride = 0;
    float eps = 0;
};

void launch_rms(const RmsJob& job, Stream stream);

// factors[row] = 1 / sqrt(mean(x^2) + eps), bfloat16 rows.
struct RmsFactorJob {
    std::int64_t rows = 0;
    int dim = 0;
    const void* x = nullptr;
    std::int64_t x_stride = 0; // between rows, values
    float eps = 0;
    float* factors = nullptr; // [rows]
};

void launch_rms_factors(const RmsFactorJob& job, Stream stream);

inline constexpr int kMaxQuantiseDim = 16384;

// bfloat16 rows to E4M3, each with a factor of its own that maps its largest magnitude to 448; with `gelu` after GELU
// (tanh form).
struct QuantiseJob {
    std::int64_t rows = 0;
    int dim = 0; // a multiple of 8
    const void* x = nullptr;
    std::int64_t x_stride = 0; // between rows, values
    bool gelu = false;
    void* out = nullptr;        // [rows][dim]
    float* out_scale = nullptr; // [rows], a value is what is stored times it
};

void launch_quantise(const QuantiseJob& job, Stream stream);

} // namespace wander::nn::cuda
