// The page loops compiled for AVX2.
#include "quant/cpu/simd_region.hpp"
#include "quant/scalar/group_grid.hpp"
#include "quant/scalar/page_kernels.hpp"

#if defined(__x86_64__)
namespace wander::quant::scalar {
WANDER_SIMD_BEGIN("avx2")
namespace avx2 {
#include "quant/scalar/page_kernels.inl"
} // namespace avx2
WANDER_SIMD_END

const ScalarKernels kAvx2ScalarKernels = {avx2::rotate, avx2::reach, avx2::encode, avx2::decode};

} // namespace wander::quant::scalar
#endif
