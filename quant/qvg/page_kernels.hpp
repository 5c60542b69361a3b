#pragma once
// Inner loops of the page codec on the CPU: one set per instruction set, all giving the same bits.
//
// Tokens are handled in groups of 16 lanes, one lane a token, so every sum over channels runs in channel order whatever
// the vector width; the files are compiled without contraction. So SimdLevel::portable is the twin of the others and
// page_reference.hpp the slow obvious twin of all. Raw pointers, no allocation, any thread. Padding lanes hold zeros.

#include "quant/cpu/tiles.hpp"

#include <cstddef>
#include <cstdint>

namespace wander::quant::qvg {

inline constexpr int kLanes = 16;

struct PageKernels {
    // rows [tokens][dim] minus base[ids[token]] (base [..][dim]; ids null: base[0]), to lanes [groups][dim][16]; lanes
    // without a token become zeros.
    void (*to_lanes)(const float* rows, int tokens, int dim, const float* base, const std::int32_t* ids, float* lanes);

    // Largest magnitude of rows [tokens][dim] minus offset [dim].
    float (*peak)(const float* rows, int tokens, int dim, const float* offset);

    // fine [tokens][dim]: rows minus offset, times inverse, to the nearest whole number (page_rules.hpp).
    void (*to_fine)(const float* rows, int tokens, int dim, const float* offset, float inverse, std::int16_t* fine);

    // Upper eight bits of whole numbers, pairs of channels in one word, the even one in the lower half:
    // [groups][dim / 2][16]; lanes without a token become zeros.
    void (*to_pairs)(const std::int16_t* fine, int tokens, int dim, std::int32_t* pairs);

    // Nearest of `count` centroids, pairs [count][dim / 2], for every lane: largest 2 x.c - |c|^2; lowest index on
    // ties.
    void (*assign)(const std::int32_t* pairs, int groups, int dim, const std::int32_t* centroids,
                   const std::int32_t* norms, int count, std::int32_t* ids);

    // sums [..][dim] of the rows of each id. The caller clears them.
    void (*add_fine)(const std::int16_t* fine, int tokens, int dim, const std::int32_t* ids, std::int32_t* sums);

    // sums [dim][dim] of the products of channels; pairs of tokens in one word, [count][dim].
    void (*add_squares)(const std::int32_t* pairs, int count, int dim, std::int32_t* sums);

    // sums [..][dim] of the rows of each id, in token order. The caller clears them.
    void (*add_rows)(const float* rows, int tokens, int dim, const std::int32_t* ids, float* sums);

    // Four-level codes of one block of residuals [block][16]: 16 e4m3 scale bytes, and words [block / 16][16] with the
    // codes of 16 channels each, first channel in the highest bits of the lowest byte.
    void (*quantise)(const float* lanes, int block, std::uint8_t* scales, std::uint32_t* words);

    // A row of codes: out = (code - middle) * scale + centroid.
    void (*decode_row)(const std::uint8_t* codes, const std::uint8_t* scales, const std::uint16_t* centroid, int dim,
                       int block, float middle, float* out);

    // out += centroid, for the stages after the first.
    void (*add_centroid)(const std::uint16_t* centroid, int dim, float* out);

    // weights [kBasisRank][16 * groups]: of every lane along the rows of basis [kBasisRank][dim].
    void (*project)(const float* lanes, int groups, int dim, const float* basis, float* weights);

    // out += weights[k] * basis[k], k after k.
    void (*add_basis)(const float* weights, const std::uint16_t* basis, int dim, float* out);
};

const PageKernels& page_kernels(cpu::SimdLevel level = cpu::best_simd());

extern const PageKernels kPortablePageKernels;
#if defined(__x86_64__)
extern const PageKernels kAvx2PageKernels;
extern const PageKernels kAvx512PageKernels;
#endif

} // namespace wander::quant::qvg
