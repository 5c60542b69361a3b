#include "quant/cpu/tiles_sets.hpp"

#include <cmath>

namespace wander::quant::cpu {
namespace portable {
#include "quant/cpu/tiles_portable.inl"
} // namespace portable

const TileKernels<double> kPortableDouble = portable::kernels<double>();
const TileKernels<float> kPortableFloat = portable::kernels<float>();
const TileKernels<Bf16> kPortableBf16 = portable::kernels<Bf16>();

} // namespace wander::quant::cpu
