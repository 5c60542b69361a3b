// The plain tile kernels, compiled for AVX2 with fused multiply-add.
#include "quant/cpu/simd_region.hpp"
#include "quant/cpu/tiles_sets.hpp"

#if defined(__x86_64__)
#include <cmath>

namespace wander::quant::cpu {
WANDER_SIMD_BEGIN("avx2,fma")
namespace avx2 {
#include "quant/cpu/tiles_portable.inl"
} // namespace avx2
WANDER_SIMD_END

const TileKernels<double> kAvx2Double = avx2::kernels<double>();
const TileKernels<float> kAvx2Float = avx2::kernels<float>();
const TileKernels<Bf16> kAvx2Bf16 = avx2::kernels<Bf16>();

} // namespace wander::quant::cpu
#endif
