#pragma once
// Products with a weight matrix that was laid out once for the kernels: y = x W^T + b on one thread, no torch.
//
// Made for a few dozen to a few hundred rows (84 in the embedded world), where general libraries lose a third to
// packing and dispatch. Layout: panels of kPanel output channels; a panel holds, for each input channel (bfloat16: pair
// of input channels), kPanel values (pairs) side by side. Sums are float32, always in the order of the input channels
// (pairs), so a result does not depend on the number of rows.
// Twin: gemm_reference. Tolerance: float 2e-6 * sqrt(in), bfloat16 1e-5 * sqrt(in) of the largest value.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace wander::nn::cpu {

inline constexpr int kPanel = 32;

enum class GemmKernel { none, float_avx512, bf16_avx512 };

// The kernel this CPU has for the type; none: use a library.
GemmKernel float_gemm();
GemmKernel bf16_gemm();

// weight: [out][in] floats, or bfloat16 bits (in must be even).
std::vector<float> pack_weight(const float* weight, std::int64_t out, std::int64_t in);
std::vector<std::uint16_t> pack_weight(const std::uint16_t* weight, std::int64_t out, std::int64_t in);

struct Gemm {
    std::int64_t rows = 0;
    std::int64_t in = 0;
    std::int64_t out = 0;
    const void* x = nullptr; // rows of float or bfloat16, as the kernel
    std::ptrdiff_t x_stride = 0;
    const void* packed = nullptr;
    const float* bias = nullptr; // [out] or null
    void* y = nullptr;           // rows of float, or bfloat16 where narrow
    std::ptrdiff_t y_stride = 0;
    bool narrow = false; // bfloat16 kernel: y is bfloat16
};
void run_gemm(GemmKernel kernel, const Gemm& task);

// The twin: plain loops over the packed weight, double sums, rounded once.
void gemm_reference(GemmKernel kernel, const Gemm& task);

} // namespace wander::nn::cpu
