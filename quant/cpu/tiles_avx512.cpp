// Tile kernels for AVX-512, float.
#include "quant/cpu/simd_region.hpp"
#include "quant/cpu/tiles_sets.hpp"

#if defined(__x86_64__)
#include <immintrin.h>

#include <cmath>

namespace wander::quant::cpu {
namespace avx512 {

template <class In>
void portable_keys(const KeyTile<In, float>& tile, const TileRotation<float>& rotation) {
    kPortableFloat.expand_keys(tile, rotation);
}

WANDER_SIMD_BEGIN("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")

inline void store16(float* target, __m512 value) { _mm512_storeu_ps(target, value); }

#include "quant/cpu/expand_avx512.inl"
#include "quant/cpu/panel_avx512.inl"

void expand_values(const ValueTile<float, float>& tile, const TileRotation<float>& rotation) {
    if (tile.head_dim % 16 != 0) {
        kPortableFloat.expand_values(tile, rotation);
        return;
    }
    Columns columns{};
    if (tile.prope) {
        columns = load_columns(rotation.matrix);
    }
    for (int t = 0; t < tile.tokens; ++t) {
        const float* row = tile.rows + t * tile.stride;
        const std::ptrdiff_t dense = static_cast<std::ptrdiff_t>(t) * tile.head_dim;
        for (int c = 0; c < tile.head_dim; c += 16) {
            const __m512 x = load16(row + c);
            if (tile.plain) {
                store16(tile.plain + dense + c, x);
            }
            if (tile.prope) {
                store16(tile.prope + dense + c, turn16(columns, x));
            }
        }
    }
}

// Turns up to 16 columns of scores into exponentials, in place, and adds them to the weights.
inline void exponentiate(const AttendTile<float>& tile, int column, __mmask16 lanes, const float* peak,
                         const float* shrink) {
    const __m512 scale = _mm512_set1_ps(tile.scale_log2);
    const __m512 offset = _mm512_mul_ps(_mm512_maskz_loadu_ps(lanes, peak + column), scale);
    __m512 weight = _mm512_mul_ps(_mm512_maskz_loadu_ps(lanes, tile.weight + column),
                                  _mm512_maskz_loadu_ps(lanes, shrink + column));
    float* scores = tile.scores + column;
    for (int t = 0; t < tile.tokens; ++t, scores += tile.columns) {
        const __m512 x = _mm512_fmsub_ps(_mm512_maskz_loadu_ps(lanes, scores), scale, offset);
        const __m512 value = power_of_two<5>(x);
        weight = _mm512_add_ps(weight, value);
        _mm512_mask_storeu_ps(scores, lanes, value);
    }
    _mm512_mask_storeu_ps(tile.weight + column, lanes, weight);
}

void attend(const AttendTile<float>& tile) {
    alignas(64) float peak[kMaxColumns];
    alignas(64) float shrink[kMaxColumns];
    __builtin_memcpy(peak, tile.peak, static_cast<std::size_t>(tile.columns) * sizeof(float));
    run_panel<FloatProduct, true>(
        {tile.keys, tile.key_stride, 1, tile.queries, tile.columns, tile.head_dim, tile.scores, nullptr, peak},
        tile.tokens);
    update_peaks(tile.peak, peak, shrink, tile.columns, tile.scale_log2);
    for (int column = 0; column < tile.columns; column += 16) {
        exponentiate(tile, column, lanes_of(tile.columns - column), peak, shrink);
    }
    run_panel<FloatProduct, false>(
        {tile.values, 1, tile.value_stride, tile.scores, tile.columns, tile.tokens, tile.out, shrink, nullptr},
        tile.head_dim);
}

WANDER_SIMD_END
} // namespace avx512

const TileKernels<float> kAvx512Float = {&avx512::expand_keys<float, float>, &avx512::expand_keys<float, float>,
                                         &avx512::expand_values, &avx512::expand_values, &avx512::attend};

} // namespace wander::quant::cpu
#endif
