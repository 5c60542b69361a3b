#pragma once
// The published quantiser of one block of channels: one e4m3 scale (and, asymmetric, one e4m3 minimum) and integer
// codes. Scalar, bit-exact against the published encoder: divisions are multiplications by the rounded reciprocal, ties
// round away from zero.

#include <cstdint>

namespace wander::quant::qvg {

struct BlockScale {
    std::uint8_t scale = 0; // e4m3
    std::uint8_t zero = 0;  // e4m3, asymmetric only
};

// bits 2 or 4. Symmetric codes are offset by 2^(bits - 1) - 1; codes of a block whose scale is 0 are neutral (1, 7;
// asymmetric 0).
BlockScale quantise_block(const float* values, int count, int bits, bool asymmetric, std::uint8_t* codes);

} // namespace wander::quant::qvg
