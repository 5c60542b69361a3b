// Tile kernels for AVX-512 with Bf16 products. Sums are float; products of pairs are rounded as the hardware does.
#include "quant/cpu/simd_region.hpp"
#include "quant/cpu/tiles_sets.hpp"

#if defined(__x86_64__)
#include <immintrin.h>

#include <cmath>

namespace wander::quant::cpu {
namespace avx512_bf16 {

inline void portable_keys(const KeyTile<Bf16, Bf16>& tile, const TileRotation<float>& rotation) {
    kPortableBf16.expand_keys(tile, rotation);
}
inline void portable_keys(const KeyTile<float, Bf16>& tile, const TileRotation<float>& rotation) {
    kPortableBf16.expand_float_keys(tile, rotation);
}
inline void portable_values(const ValueTile<Bf16, Bf16>& tile, const TileRotation<float>& rotation) {
    kPortableBf16.expand_values(tile, rotation);
}
inline void portable_values(const ValueTile<float, Bf16>& tile, const TileRotation<float>& rotation) {
    kPortableBf16.expand_float_values(tile, rotation);
}

WANDER_SIMD_BEGIN("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")

inline void store16(Bf16* target, __m512 value) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(target), (__m256i)_mm512_cvtneps_pbh(value));
}

#include "quant/cpu/expand_avx512.inl"
#include "quant/cpu/panel_avx512.inl"

struct Bf16Product {
    static __m512 add(__m512 sum, __m512 a, __m512 b) { return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b); }
    static __m256 add(__m256 sum, __m256 a, __m256 b) { return _mm256_dpbf16_ps(sum, (__m256bh)a, (__m256bh)b); }
};

// Sixteen values of two rows as pairs: lane i holds (first[i], second[i]), the first in the low half.
inline __m512i pair_rows(__m512 first, __m512 second) {
    const __m512i low_first = (__m512i)_mm512_cvtne2ps_pbh(second, first);
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                                           21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(order, low_first);
}

template <class In>
void expand_values(const ValueTile<In, Bf16>& tile, const TileRotation<float>& rotation) {
    if (tile.head_dim % 16 != 0) {
        portable_values(tile, rotation);
        return;
    }
    Columns columns{};
    if (tile.prope) {
        columns = load_columns(rotation.matrix);
    }
    for (int t = 0; t < tile.tokens; t += 2) {
        const In* row = tile.rows + t * tile.stride;
        const bool pair = t + 1 < tile.tokens;
        const std::ptrdiff_t dense = static_cast<std::ptrdiff_t>(t) * tile.head_dim;
        for (int c = 0; c < tile.head_dim; c += 16) {
            const __m512 first = load16(row + c);
            const __m512 second = pair ? load16(row + tile.stride + c) : _mm512_setzero_ps();
            if (tile.plain) {
                _mm512_storeu_si512(tile.plain + dense + 2 * c, pair_rows(first, second));
            }
            if (tile.prope) {
                _mm512_storeu_si512(tile.prope + dense + 2 * c,
                                    pair_rows(turn16(columns, first), turn16(columns, second)));
            }
        }
    }
}

// Turns up to 16 columns of scores into exponentials and packs them as pairs of tokens. Row i of the pairs overwrites
// row i of the scores, which has been read by then.
inline void exponentiate(const AttendTile<Bf16>& tile, int column, __mmask16 lanes, const float* peak,
                         const float* shrink) {
    const __m512 scale = _mm512_set1_ps(tile.scale_log2);
    const __m512 offset = _mm512_mul_ps(_mm512_maskz_loadu_ps(lanes, peak + column), scale);
    __m512 weight = _mm512_mul_ps(_mm512_maskz_loadu_ps(lanes, tile.weight + column),
                                  _mm512_maskz_loadu_ps(lanes, shrink + column));
    const float* scores = tile.scores + column;
    float* pairs = tile.scores + column;
    for (int t = 0; t < tile.tokens; t += 2, scores += 2 * tile.columns, pairs += tile.columns) {
        const __m512 first = power_of_two<4>(_mm512_fmsub_ps(_mm512_maskz_loadu_ps(lanes, scores), scale, offset));
        __m512 second = _mm512_setzero_ps();
        if (t + 1 < tile.tokens) {
            second =
                power_of_two<4>(_mm512_fmsub_ps(_mm512_maskz_loadu_ps(lanes, scores + tile.columns), scale, offset));
        }
        weight = _mm512_add_ps(weight, _mm512_add_ps(first, second));
        _mm512_mask_storeu_ps(pairs, lanes, _mm512_castsi512_ps(pair_rows(first, second)));
    }
    _mm512_mask_storeu_ps(tile.weight + column, lanes, weight);
}

void attend(const AttendTile<Bf16>& tile) {
    alignas(64) float peak[kMaxColumns];
    alignas(64) float shrink[kMaxColumns];
    __builtin_memcpy(peak, tile.peak, static_cast<std::size_t>(tile.columns) * sizeof(float));
    const auto* keys = reinterpret_cast<const float*>(tile.keys);
    const auto* values = reinterpret_cast<const float*>(tile.values);
    const auto* queries = reinterpret_cast<const float*>(tile.queries);
    run_panel<Bf16Product, true>(
        {keys, tile.key_stride / 2, 1, queries, tile.columns, tile.head_dim / 2, tile.scores, nullptr, peak},
        tile.tokens);
    update_peaks(tile.peak, peak, shrink, tile.columns, tile.scale_log2);
    for (int column = 0; column < tile.columns; column += 16) {
        exponentiate(tile, column, lanes_of(tile.columns - column), peak, shrink);
    }
    run_panel<Bf16Product, false>(
        {values, 1, tile.value_stride / 2, tile.scores, tile.columns, (tile.tokens + 1) / 2, tile.out, shrink, nullptr},
        tile.head_dim);
}

WANDER_SIMD_END
} // namespace avx512_bf16

const TileKernels<Bf16> kAvx512Bf16 = {&avx512_bf16::expand_keys<Bf16, Bf16>, &avx512_bf16::expand_keys<float, Bf16>,
                                       &avx512_bf16::expand_values<Bf16>, &avx512_bf16::expand_values<float>,
                                       &avx512_bf16::attend};

} // namespace wander::quant::cpu
#endif
