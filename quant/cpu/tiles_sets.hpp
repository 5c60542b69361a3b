#pragma once
// The tile kernels that exist, one set for each instruction set. Internal to quant/cpu.

#include "quant/cpu/tiles.hpp"

namespace wander::quant::cpu {

extern const TileKernels<double> kPortableDouble;
extern const TileKernels<float> kPortableFloat;
extern const TileKernels<Bf16> kPortableBf16;

} // namespace wander::quant::cpu
