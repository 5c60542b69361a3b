#include "generator/nn/plain/rows_cpu.hpp"

#include "generator/nn/plain/simd_loops.hpp"

#include <cmath>

namespace wander::nn::cpu {
namespace {

constexpr int kLanes = 32; // partial sums: two registers of the widest kind hide the latency of an addition

// Sum of f(value) over a row, in an order that does not depend on the width of the SIMD code.
template <class T, class F>
WANDER_INLINE float sum_row(const T* x, std::int64_t dim, F f) {
    float sums[kLanes] = {};
    std::int64_t c = 0;
    for (; c + kLanes <= dim; c += kLanes) {
        for (int j = 0; j < kLanes; ++j) sums[j] += f(widen(x[c + j]));
    }
    float sum = 0;
    for (int j = 0; j < kLanes; ++j) sum += sums[j];
    for (; c < dim; ++c) sum += f(widen(x[c]));
    return sum;
}

template <class T>
WANDER_INLINE void run_norm(const NormRows& task, T* out) {
    const auto dim = task.dim;
    for (std::int64_t row = 0; row < task.rows; ++row, out += dim) {
        const float* x = task.x + row * dim;
        const float* shift = task.shift + row / task.rows_per_group * dim;
        const float* scale = task.scale + row / task.rows_per_group * dim;
        const float mean = sum_row(x, dim, [](float v) { return v; }) / static_cast<float>(dim);
        const float variance =
            sum_row(x, dim, [mean](float v) { return (v - mean) * (v - mean); }) / static_cast<float>(dim);
        const float factor = 1.0f / std::sqrt(variance + task.eps);
        for (std::int64_t c = 0; c < dim; ++c) narrow((x[c] - mean) * factor * scale[c] + shift[c], out[c]);
    }
}

template <class T>
WANDER_INLINE void run_rms(const RmsRows& task, const T* x, T* out) {
    const auto dim = task.dim;
    for (std::int64_t row = 0; row < task.rows; ++row, x += task.stride, out += dim) {
        const float mean = sum_row(x, dim, [](float v) { return v * v; }) / static_cast<float>(dim);
        const float factor = 1.0f / std::sqrt(mean + task.eps);
        for (std::int64_t c = 0; c < dim; ++c) narrow(widen(x[c]) * factor * task.weight[c], out[c]);
    }
}

template <class T>
WANDER_INLINE void run_gated(const GatedRows& task, float* x, const T* y) {
    for (std::int64_t row = 0; row < task.rows; ++row, x += task.dim, y += task.dim) {
        const float* gate = task.gate + row / task.rows_per_group * task.dim;
        for (std::int64_t c = 0; c < task.dim; ++c) x[c] += gate[c] * widen(y[c]);
    }
}

// 0.5 x (1 + tanh(u)) = x / (1 + exp(-2 u)), u = sqrt(2 / pi) (x + 0.044715 x^3).
template <class T>
WANDER_INLINE void run_gelu(T* x, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) {
        const float v = widen(x[i]);
        const float u = 1.5957691216057308f * (v + 0.044715f * v * v * v);
        narrow(v / (1.0f + quick_exp(-u)), x[i]);
    }
}

} // namespace

WANDER_CLONES void modulated_norm(const NormRows& task, float* out) { run_norm(task, out); }
WANDER_CLONES void modulated_norm(const NormRows& task, Bf16Bits* out) { run_norm(task, out); }
WANDER_CLONES void rms_norm(const RmsRows& task, const float* x, float* out) { run_rms(task, x, out); }
WANDER_CLONES void rms_norm(const RmsRows& task, const Bf16Bits* x, Bf16Bits* out) { run_rms(task, x, out); }
WANDER_CLONES void add_gated(const GatedRows& task, float* x, const float* y) { run_gated(task, x, y); }
WANDER_CLONES void add_gated(const GatedRows& task, float* x, const Bf16Bits* y) { run_gated(task, x, y); }
WANDER_CLONES void gelu(float* x, std::int64_t count) { run_gelu(x, count); }
WANDER_CLONES void gelu(Bf16Bits* x, std::int64_t count) { run_gelu(x, count); }

} // namespace wander::nn::cpu
