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

template <class E>
void pack_queries(const E* rows, int queries, int columns, int head_dim, E* packed) {
    constexpr int kGroup = std::is_same_v<E, Bf16> ? 2 : 1;
    for (int c = 0; c < head_dim; ++c) {
        for (int q = 0; q < columns; ++q) {
            const std::ptrdiff_t slot = (static_cast<std::ptrdiff_t>(c / kGroup) * columns + q) * kGroup + c % kGroup;
            packed[slot] = q < queries ? rows[static_cast<std::ptrdiff_t>(q) * head_dim + c] : E{};
        }
    }
}

template void pack_queries<double>(const double*, int, int, int, double*);
template void pack_queries<float>(const float*, int, int, int, float*);
template void pack_queries<Bf16>(const Bf16*, int, int, int, Bf16*);

} // namespace wander::quant::cpu
