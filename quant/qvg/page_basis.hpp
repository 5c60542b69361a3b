#pragma once
// The directions in which the tokens of one head differ most: subspace iteration on their covariance, in whole
// numbers (page_rules.hpp), from a fixed start. Deterministic: the same bits on every instruction set and on a GPU
// (quant/cuda/qvg_basis_kernels.cuh).

#include "quant/cpu/tiles.hpp"

#include <cstdint>
#include <vector>

namespace wander::quant::qvg {

struct HeadBasis {
    std::vector<std::uint16_t> rows;  // bfloat16 [kBasisRank][dim], orthonormal but for the rounding
    std::vector<float> spans;         // [kBasisRank]; weight = byte * span
    std::vector<std::int8_t> weights; // [tokens][kBasisRank]
};

// rows: [tokens][dim] float32 without their mean; 16 divides dim.
HeadBasis fit_basis(const float* rows, int tokens, int dim, cpu::SimdLevel level = cpu::best_simd());

} // namespace wander::quant::qvg
