#pragma once
// Inner loops of the scalar page codec on the CPU: one set per instruction set, all giving the same bits.
//
// The files are compiled without contraction and every sum has one order, so SimdLevel::portable is the twin of the
// others; tests/unit/quant/scalar_reference.hpp is the slow obvious twin of all. Rows are dense, float, of one
// head. Raw pointers, no allocation, any thread.

#include "quant/cpu/tiles.hpp"
#include "quant/scalar/page_layout.hpp"

#include <cstdint>

namespace wander::quant::scalar {

struct ScalarKernels {
    // Orthonormal Walsh-Hadamard transform of each row, in place; its own inverse. dim: power of two, 16 to 256.
    void (*rotate)(float* rows, int tokens, int dim);
    // Largest step and largest minimum of the head's groups, for e4m3_pair: reach [2].
    void (*reach)(const float* rows, const ScalarPageLayout& layout, float* reach);
    // Writes the head's codes, scales and minima; reach is in the page already. rows of a two-stage format are
    // overwritten with what is left.
    void (*encode)(float* rows, const ScalarPageLayout& layout, int head, std::uint8_t* page);
    // Tokens [t0, t1) to rows of out.
    void (*decode)(const std::uint8_t* page, const ScalarPageLayout& layout, int head, int t0, int t1, float* out);
};

const ScalarKernels& scalar_kernels(cpu::SimdLevel level = cpu::best_simd());

extern const ScalarKernels kPortableScalarKernels;
#if defined(__x86_64__)
extern const ScalarKernels kAvx2ScalarKernels;
extern const ScalarKernels kAvx512ScalarKernels;
#endif

} // namespace wander::quant::scalar
