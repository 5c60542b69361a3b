// The page loops for AVX-512: compiled as they are, but for the transposition and the decoder.
#include "quant/cpu/simd_region.hpp"
#include "quant/qvg/number_formats.hpp"
#include "quant/qvg/page_kernels.hpp"
#include "quant/qvg/page_rules.hpp"

#if defined(__x86_64__)
#include <immintrin.h>

namespace wander::quant::qvg {
WANDER_SIMD_BEGIN("avx2,avx512f,avx512bw,avx512dq,avx512vl")
namespace avx512 {
#define WANDER_LANES_AVX512
#include "quant/qvg/page_kernels.inl"

// 16 x 16 floats: rows to columns.
WANDER_LANES_INLINE void transpose(__m512 (&row)[16]) {
    __m512 pair[16];
    for (int i = 0; i < 16; i += 2) {
        pair[i] = _mm512_unpacklo_ps(row[i], row[i + 1]);
        pair[i + 1] = _mm512_unpackhi_ps(row[i], row[i + 1]);
    }
    __m512 quad[16]; // quad[4 q + j]: in each 128-bit part p the channel 4 p + j of rows 4 q .. 4 q + 3
    for (int q = 0; q < 4; ++q) {
        const __m512 low = pair[4 * q];
        const __m512 high = pair[4 * q + 1];
        const __m512 low2 = pair[4 * q + 2];
        const __m512 high2 = pair[4 * q + 3];
        quad[4 * q] = _mm512_shuffle_ps(low, low2, 0x44);
        quad[4 * q + 1] = _mm512_shuffle_ps(low, low2, 0xEE);
        quad[4 * q + 2] = _mm512_shuffle_ps(high, high2, 0x44);
        quad[4 * q + 3] = _mm512_shuffle_ps(high, high2, 0xEE);
    }
    for (int j = 0; j < 4; ++j) {
        const __m512 even = _mm512_shuffle_f32x4(quad[j], quad[4 + j], 0x88);
        const __m512 odd = _mm512_shuffle_f32x4(quad[j], quad[4 + j], 0xDD);
        const __m512 even2 = _mm512_shuffle_f32x4(quad[8 + j], quad[12 + j], 0x88);
        const __m512 odd2 = _mm512_shuffle_f32x4(quad[8 + j], quad[12 + j], 0xDD);
        row[j] = _mm512_shuffle_f32x4(even, even2, 0x88);
        row[4 + j] = _mm512_shuffle_f32x4(odd, odd2, 0x88);
        row[8 + j] = _mm512_shuffle_f32x4(even, even2, 0xDD);
        row[12 + j] = _mm512_shuffle_f32x4(odd, odd2, 0xDD);
    }
}

void to_lanes_fast(const float* rows, int tokens, int dim, const float* base, const std::int32_t* ids, float* lanes) {
    const int whole = dim % 16 == 0 ? tokens / kLanes : 0;
    for (int g = 0; g < whole; ++g) {
        for (int c = 0; c < dim; c += 16) {
            __m512 block[16];
            for (int l = 0; l < kLanes; ++l) {
                const int t = g * kLanes + l;
                const float* minus = base + static_cast<std::ptrdiff_t>(ids ? ids[t] : 0) * dim;
                block[l] = _mm512_sub_ps(_mm512_loadu_ps(rows + static_cast<std::ptrdiff_t>(t) * dim + c),
                                         _mm512_loadu_ps(minus + c));
            }
            transpose(block);
            for (int l = 0; l < kLanes; ++l) {
                _mm512_storeu_ps(lanes + (static_cast<std::ptrdiff_t>(g) * dim + c + l) * kLanes, block[l]);
            }
        }
    }
    const int done = whole * kLanes;
    to_lanes(rows + static_cast<std::ptrdiff_t>(done) * dim, tokens - done, dim, base, ids ? ids + done : nullptr,
             lanes + static_cast<std::ptrdiff_t>(done) * dim);
}

void decode_row_fast(const std::uint8_t* codes, const std::uint8_t* scales, const std::uint16_t* centroid, int dim,
                     int block, float middle, float* out) {
    const __m512i shifts = _mm512_setr_epi32(6, 4, 2, 0, 14, 12, 10, 8, 22, 20, 18, 16, 30, 28, 26, 24);
    // The lookup reads four bits of an index; the entries repeat, so the two upper ones do not matter.
    const __m512 grid =
        _mm512_sub_ps(_mm512_setr_ps(0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3), _mm512_set1_ps(middle));
    for (int first = 0; first < dim; first += block) {
        const auto byte = static_cast<unsigned>(scales[first / block]);
        const float scale =
            byte < 8
                ? static_cast<float>(byte) * 0x1p-9F
                : _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(static_cast<int>((byte << 20) + (120U << 23)))));
        const __m512 levels = _mm512_mul_ps(grid, _mm512_set1_ps(scale));
        for (int c = first; c < first + block; c += 16) {
            int word;
            __builtin_memcpy(&word, codes + c / 4, sizeof word);
            const __m512i index = _mm512_srlv_epi32(_mm512_set1_epi32(word), shifts);
            const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(centroid + c));
            const __m512 centre = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
            _mm512_storeu_ps(out + c, _mm512_add_ps(_mm512_permutexvar_ps(index, levels), centre));
        }
    }
}

} // namespace avx512
WANDER_SIMD_END

const PageKernels kAvx512PageKernels = {
    avx512::to_lanes_fast, avx512::peak,        avx512::to_fine,  avx512::to_pairs, avx512::assign,
    avx512::add_fine,      avx512::add_squares, avx512::add_rows, avx512::quantise, avx512::decode_row_fast,
    avx512::add_centroid,  avx512::project,     avx512::add_basis};

} // namespace wander::quant::qvg
#endif
