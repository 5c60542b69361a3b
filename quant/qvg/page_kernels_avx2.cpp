// The page loops compiled for AVX2.
#include "quant/cpu/simd_region.hpp"
#include "quant/qvg/number_formats.hpp"
#include "quant/qvg/page_kernels.hpp"
#include "quant/qvg/page_rules.hpp"

#if defined(__x86_64__)
#include <immintrin.h>

namespace wander::quant::qvg {
WANDER_SIMD_BEGIN("avx2")
namespace avx2 {
#define WANDER_LANES_AVX2
#include "quant/qvg/page_kernels.inl"
} // namespace avx2
WANDER_SIMD_END

const PageKernels kAvx2PageKernels = {avx2::to_lanes, avx2::peak,       avx2::to_fine,      avx2::to_pairs,
                                      avx2::assign,   avx2::add_fine,   avx2::add_squares,  avx2::add_rows,
                                      avx2::quantise, avx2::decode_row, avx2::add_centroid, avx2::project,
                                      avx2::add_basis};

} // namespace wander::quant::qvg
#endif
