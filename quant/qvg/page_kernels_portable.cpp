// The page loops for any CPU: the twin of the wider ones.
#include "quant/qvg/number_formats.hpp"
#include "quant/qvg/page_kernels.hpp"
#include "quant/qvg/page_rules.hpp"

namespace wander::quant::qvg {
namespace portable {
#include "quant/qvg/page_kernels.inl"
} // namespace portable

const PageKernels kPortablePageKernels = {
    portable::to_lanes,     portable::peak,        portable::to_fine,  portable::to_pairs, portable::assign,
    portable::add_fine,     portable::add_squares, portable::add_rows, portable::quantise, portable::decode_row,
    portable::add_centroid, portable::project,     portable::add_basis};

const PageKernels& page_kernels([[maybe_unused]] cpu::SimdLevel level) {
#if defined(__x86_64__)
    if (level >= cpu::SimdLevel::avx512) {
        return kAvx512PageKernels;
    }
    if (level == cpu::SimdLevel::avx2) {
        return kAvx2PageKernels;
    }
#endif
    return kPortablePageKernels;
}

} // namespace wander::quant::qvg
