#pragma once
// The tile kernels that exist, one set for each instruction set. Internal to quant/cpu.

#include "quant/cpu/tiles.hpp"

namespace wander::quant::cpu {

extern const TileKernels<double> kPortableDouble;
extern const TileKernels<float> kPortableFloat;
extern const TileKernels<Bf16> kPortableBf16;
#if defined(__x86_64__)
extern const TileKernels<double> kAvx2Double;
extern const TileKernels<float> kAvx2Float;
extern const TileKernels<Bf16> kAvx2Bf16;
extern const TileKernels<float> kAvx512Float;
extern const TileKernels<Bf16> kAvx512Bf16;
#endif

} // namespace wander::quant::cpu
