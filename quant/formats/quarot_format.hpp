#pragma once
// QuaRot (arXiv 2404.00456), the cache alone: an orthonormal Walsh-Hadamard transform over the head dimension spreads
// outliers, then asymmetric groups of 64 (4 bits) or 32 channels (2 bits). Pages hold un-rotated keys for RoPE at
// reading, and RoPE does not commute with the transform, so pages are transformed back when they are read.

#include "quant/format.hpp"

#include <memory>

namespace wander::quant {

std::unique_ptr<PageFormat> make_quarot4_format();
std::unique_ptr<PageFormat> make_quarot2_format();

} // namespace wander::quant
