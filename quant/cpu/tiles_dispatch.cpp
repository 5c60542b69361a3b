#include "quant/cpu/tiles_sets.hpp"

namespace wander::quant::cpu {

SimdLevel best_simd() {
#if defined(__x86_64__)
    static const SimdLevel level = [] {
        const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
        const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
        if (avx512) {
            return __builtin_cpu_supports("avx512bf16") ? SimdLevel::avx512_bf16 : SimdLevel::avx512;
        }
        return avx2 ? SimdLevel::avx2 : SimdLevel::portable;
    }();
    return level;
#else
    return SimdLevel::portable;
#endif
}

#if defined(__x86_64__)
template <>
const TileKernels<double>& tile_kernels<double>(SimdLevel level) {
    return level >= SimdLevel::avx2 ? kAvx2Double : kPortableDouble;
}

template <>
const TileKernels<float>& tile_kernels<float>(SimdLevel level) {
    return level >= SimdLevel::avx512 ? kAvx512Float : level == SimdLevel::avx2 ? kAvx2Float : kPortableFloat;
}

template <>
const TileKernels<Bf16>& tile_kernels<Bf16>(SimdLevel level) {
    return level >= SimdLevel::avx512_bf16 ? kAvx512Bf16 : level >= SimdLevel::avx2 ? kAvx2Bf16 : kPortableBf16;
}
#else
template <>
const TileKernels<double>& tile_kernels<double>(SimdLevel) {
    return kPortableDouble;
}

template <>
const TileKernels<float>& tile_kernels<float>(SimdLevel) {
    return kPortableFloat;
}

template <>
const TileKernels<Bf16>& tile_kernels<Bf16>(SimdLevel) {
    return kPortableBf16;
}
#endif

} // namespace wander::quant::cpu
