// The page loops for any CPU: the twin of the wider ones.
#include "quant/scalar/group_grid.hpp"
#include "quant/scalar/page_kernels.hpp"

namespace wander::quant::scalar {
namespace portable {
#include "quant/scalar/page_kernels.inl"
} // namespace portable

const ScalarKernels kPortableScalarKernels = {portable::rotate, portable::reach, portable::encode, portable::decode};

const ScalarKernels& scalar_kernels([[maybe_unused]] cpu::SimdLevel level) {
#if defined(__x86_64__)
    if (level >= cpu::SimdLevel::avx512) {
        return kAvx512ScalarKernels;
    }
    if (level == cpu::SimdLevel::avx2) {
        return kAvx2ScalarKernels;
    }
#endif
    return kPortableScalarKernels;
}

} // namespace wander::quant::scalar
