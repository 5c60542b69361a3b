// The page loops compiled for AVX-512.
#include "quant/cpu/simd_region.hpp"
#include "quant/scalar/group_grid.hpp"
#include "quant/scalar/page_kernels.hpp"

#if defined(__x86_64__)
namespace wander::quant::scalar {
WANDER_SIMD_BEGIN("avx2,avx512f,avx512bw,avx512dq,avx512vl")
namespace avx512 {
#include "quant/scalar/page_kernels.inl"
} // namespace avx512
WANDER_SIMD_END

const ScalarKernels kAvx512ScalarKernels = {avx512::rotate, avx512::reach, avx512::encode, avx512::decode};

} // namespace wander::quant::scalar
#endif
