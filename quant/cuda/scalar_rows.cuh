#pragma once
// Pieces of the scalar formats' kernels: eight channels to codes and back, the rotation among lanes. Twin:
// quant/scalar/page_kernels.inl, bit for bit. Include from .cu only.

#include "quant/cuda/rows.cuh"
#include "quant/scalar/group_grid.hpp"

#include <cstdint>

namespace wander::quant::cuda {

using scalar::GroupAxis;
using scalar::GroupGrid;
using scalar::HeadUnits;
using scalar::ScalarCode;
using scalar::ScalarPageLayout;

// Place of the code of channel c of eight inside its 16 or 32 bits.
template <ScalarCode kCode>
__device__ constexpr int code_shift(int c) {
    return kCode == ScalarCode::two_bit ? c / 4 * 8 + 6 - 2 * (c % 4) : c / 2 * 8 + 4 - 4 * (c % 2);
}

template <ScalarCode kCode>
__device__ inline Eight load_codes(const std::uint8_t* at) { // as numbers
    Eight out;
    if constexpr (scalar::code_bits(kCode) == 8) {
        const uint2 words = *reinterpret_cast<const uint2*>(at);
#pragma unroll
        for (int c = 0; c < 8; ++c) {
            const unsigned byte = ((c < 4 ? words.x : words.y) >> (c % 4 * 8)) & 0xFFU;
            out.x[c] = kCode == ScalarCode::e4m3 ? scalar::e4m3_to_float(static_cast<std::uint8_t>(byte))
                                                 : static_cast<float>(byte);
        }
    } else {
        const unsigned word = kCode == ScalarCode::two_bit ? *reinterpret_cast<const std::uint16_t*>(at)
                                                           : *reinterpret_cast<const std::uint32_t*>(at);
#pragma unroll
        for (int c = 0; c < 8; ++c) {
            out.x[c] = static_cast<float>((word >> code_shift<kCode>(c)) & (kCode == ScalarCode::two_bit ? 3U : 15U));
        }
    }
    return out;
}

template <ScalarCode kCode>
__device__ inline unsigned nearest_code(float x, float base, float reciprocal, float top) {
    if constexpr (kCode == ScalarCode::e4m3) {
        return scalar::float_to_e4m3(__fmul_rn(x, reciprocal));
    }
    const float y = fminf(fmaxf(__fmul_rn(__fsub_rn(x, base), reciprocal), 0.0F), top);
    return static_cast<unsigned>(__float2int_rz(__fadd_rn(y, 0.5F)));
}

template <ScalarCode kCode>
__device__ inline void store_codes(std::uint8_t* to, const unsigned (&codes)[8]) {
    if constexpr (scalar::code_bits(kCode) == 8) {
        uint2 words = make_uint2(0, 0);
#pragma unroll
        for (int c = 0; c < 4; ++c) {
            words.x |= codes[c] << (8 * c);
            words.y |= codes[c + 4] << (8 * c);
        }
        *reinterpret_cast<uint2*>(to) = words;
    } else {
        unsigned word = 0;
#pragma unroll
        for (int c = 0; c < 8; ++c) {
            word |= codes[c] << code_shift<kCode>(c);
        }
        if constexpr (kCode == ScalarCode::two_bit) {
            *reinterpret_cast<std::uint16_t*>(to) = static_cast<std::uint16_t>(word);
        } else {
            *reinterpret_cast<std::uint32_t*>(to) = word;
        }
    }
}

// The Walsh-Hadamard transform of one row that lies in `lanes` neighbouring lanes (a power of two), lane by lane the
// next eight channels; all lanes of the mask call it.
__device__ inline void rotate_eight(Eight& value, int lanes, unsigned mask) {
#pragma unroll
    for (int apart = 1; apart < 8; apart *= 2) {
#pragma unroll
        for (int c = 0; c < 8; ++c) {
            if ((c & apart) == 0) {
                const float sum = __fadd_rn(value.x[c], value.x[c + apart]);
                value.x[c + apart] = __fsub_rn(value.x[c], value.x[c + apart]);
                value.x[c] = sum;
            }
        }
    }
    for (int apart = 1; apart < lanes; apart *= 2) {
        const bool upper = (threadIdx.x & static_cast<unsigned>(apart)) != 0;
#pragma unroll
        for (int c = 0; c < 8; ++c) {
            const float other = __shfl_xor_sync(mask, value.x[c], apart);
            value.x[c] = upper ? __fsub_rn(other, value.x[c]) : __fadd_rn(value.x[c], other);
        }
    }
    const float norm = scalar::hadamard_norm(lanes * 8);
#pragma unroll
    for (int c = 0; c < 8; ++c) {
        value.x[c] = __fmul_rn(value.x[c], norm);
    }
}

__device__ inline HeadUnits head_units(const ScalarPageLayout& layout, int head, const std::uint8_t* page) {
    HeadUnits units;
    if (layout.pair()) {
        const float2 reach = reinterpret_cast<const float2*>(page + layout.reach_at)[head];
        units.step = scalar::reach_unit(reach.x);
        units.minimum = scalar::reach_unit(reach.y);
    }
    return units;
}

__device__ inline GroupGrid grid_of(const ScalarPageLayout& layout, HeadUnits units, float low, float high) {
    return layout.pair()
               ? scalar::asymmetric_grid(low, high, scalar::top_code(layout.rule.code, layout.rule.parameters), units)
               : scalar::symmetric_grid(layout.rule.code, -low > high ? -low : high);
}

__device__ inline void put_grid(const GroupGrid& grid, const ScalarPageLayout& layout, std::int64_t entry,
                                std::uint8_t* page) {
    if (layout.pair()) {
        page[layout.scales_at + entry] = static_cast<std::uint8_t>(grid.scale);
        page[layout.minima_at + entry] = grid.minimum;
    } else {
        reinterpret_cast<std::uint16_t*>(page + layout.scales_at)[entry] = grid.scale;
    }
}

} // namespace wander::quant::cuda
