// Tiles of up to 14 rows and one panel of 32 columns: 28 sums, two pieces of weight and one broadcast value fill the
// 32 registers of AVX-512. 84 rows are six such tiles.

#include "generator/nn/plain/gemm_cpu.hpp"

#include <cassert>
#include <utility>

#if defined(__x86_64__)

#include <immintrin.h>

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 warns inside its own AVX-512 intrinsics, which start from registers that are undefined on purpose.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#define WANDER_F32 __attribute__((target("avx512f,avx512bw,avx512vl"), always_inline)) inline
#define WANDER_BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16"), always_inline)) inline

namespace wander::nn::cpu {
namespace {

constexpr int kTileRows = 14;

struct Tile {
    const void* x;
    std::ptrdiff_t x_stride;
    const void* panel;
    const float* bias;
    void* y;
    std::ptrdiff_t y_stride;
    std::int64_t in;
    std::uint32_t columns; // mask of the panel's columns that exist
};

WANDER_F32 void start(__m512* sums, int rows, const Tile& tile) {
    const auto low = static_cast<__mmask16>(tile.columns), high = static_cast<__mmask16>(tile.columns >> 16);
    const __m512 zero = _mm512_setzero_ps();
    const __m512 bias_low = tile.bias ? _mm512_maskz_loadu_ps(low, tile.bias) : zero;
    const __m512 bias_high = tile.bias ? _mm512_maskz_loadu_ps(high, tile.bias + 16) : zero;
    for (int r = 0; r < rows; ++r) {
        sums[2 * r] = bias_low;
        sums[2 * r + 1] = bias_high;
    }
}

WANDER_F32 void store_wide(const __m512* sums, int rows, const Tile& tile) {
    for (int r = 0; r < rows; ++r) {
        float* y = static_cast<float*>(tile.y) + r * tile.y_stride;
        _mm512_mask_storeu_ps(y, static_cast<__mmask16>(tile.columns), sums[2 * r]);
        _mm512_mask_storeu_ps(y + 16, static_cast<__mmask16>(tile.columns >> 16), sums[2 * r + 1]);
    }
}

template <int Rows>
__attribute__((target("avx512f,avx512bw,avx512vl"))) void float_tile(const Tile& tile) {
    __m512 sums[2 * Rows];
    start(sums, Rows, tile);
    const float* x = static_cast<const float*>(tile.x);
    const float* panel = static_cast<const float*>(tile.panel);
    for (std::int64_t i = 0; i < tile.in; ++i, panel += kPanel) {
        const __m512 low = _mm512_loadu_ps(panel);
        const __m512 high = _mm512_loadu_ps(panel + 16);
#pragma GCC unroll 14
        for (int r = 0; r < Rows; ++r) {
            const __m512 value = _mm512_set1_ps(x[r * tile.x_stride + i]);
            sums[2 * r] = _mm512_fmadd_ps(value, low, sums[2 * r]);
            sums[2 * r + 1] = _mm512_fmadd_ps(value, high, sums[2 * r + 1]);
        }
    }
    store_wide(sums, Rows, tile);
}

template <int Rows, bool Narrow>
__attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16"))) void bf16_tile(const Tile& tile) {
    __m512 sums[2 * Rows];
    start(sums, Rows, tile);
    const auto* x = static_cast<const std::uint16_t*>(tile.x);
    const auto* panel = static_cast<const std::uint16_t*>(tile.panel);
    for (std::int64_t i = 0; i < tile.in; i += 2, panel += 2 * kPanel) {
        const auto low = reinterpret_cast<__m512bh>(_mm512_loadu_si512(panel));
        const auto high = reinterpret_cast<__m512bh>(_mm512_loadu_si512(panel + kPanel));
#pragma GCC unroll 14
        for (int r = 0; r < Rows; ++r) {
            int pair;
            __builtin_memcpy(&pair, x + r * tile.x_stride + i, sizeof pair);
            const auto value = reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
            sums[2 * r] = _mm512_dpbf16_ps(sums[2 * r], value, low);
            sums[2 * r + 1] = _mm512_dpbf16_ps(sums[2 * r + 1], value, high);
        }
    }
    if (!Narrow) {
        store_wide(sums, Rows, tile);
        return;
    }
    for (int r = 0; r < Rows; ++r) {
        auto* y = static_cast<std::uint16_t*>(tile.y) + r * tile.y_stride;
        const auto packed = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(sums[2 * r + 1], sums[2 * r]));
        _mm512_mask_storeu_epi16(y, tile.columns, packed);
    }
}

using TileFunction = void (*)(const Tile&);

// The functions for 1 .. kTileRows rows.
template <template <int> class Function, std::size_t... Index>
TileFunction pick(int rows, std::index_sequence<Index...>) {
    static constexpr TileFunction kFunctions[] = {Function<static_cast<int>(Index) + 1>::run...};
    return kFunctions[rows - 1];
}
template <template <int> class Function>
TileFunction pick(int rows) {
    return pick<Function>(rows, std::make_index_sequence<kTileRows>());
}
template <int Rows>
struct FloatRows {
    static void run(const Tile& tile) { float_tile<Rows>(tile); }
};
template <int Rows>
struct WideRows {
    static void run(const Tile& tile) { bf16_tile<Rows, false>(tile); }
};
template <int Rows>
struct NarrowRows {
    static void run(const Tile& tile) { bf16_tile<Rows, true>(tile); }
};

TileFunction function_for(GemmKernel kernel, const Gemm& task, int rows) {
    if (kernel == GemmKernel::float_avx512) return pick<FloatRows>(rows);
    return task.narrow ? pick<NarrowRows>(rows) : pick<WideRows>(rows);
}

} // namespace

GemmKernel float_gemm() {
    static const bool found =
        __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    return found ? GemmKernel::float_avx512 : GemmKernel::none;
}

GemmKernel bf16_gemm() {
    static const bool found = float_gemm() != GemmKernel::none && __builtin_cpu_supports("avx512bf16");
    return found ? GemmKernel::bf16_avx512 : GemmKernel::none;
}

void run_gemm(GemmKernel kernel, const Gemm& task) {
    assert(kernel != GemmKernel::none);
    const bool is_float = kernel == GemmKernel::float_avx512;
    const std::ptrdiff_t item = is_float ? 4 : 2;
    const std::ptrdiff_t y_item = task.narrow ? 2 : 4;
    // Panel outside, rows inside: a panel is read from memory once and stays in the first two caches.
    for (std::int64_t column = 0; column < task.out; column += kPanel) {
        Tile tile{};
        tile.x_stride = task.x_stride;
        tile.panel = static_cast<const char*>(task.packed) + column * task.in * item;
        tile.bias = task.bias ? task.bias + column : nullptr;
        tile.y_stride = task.y_stride;
        tile.in = task.in;
        const std::int64_t columns = task.out - column;
        tile.columns = columns >= kPanel ? 0xffffffffu : (1u << columns) - 1u;
        for (std::int64_t row = 0; row < task.rows;) {
            const auto rows = static_cast<int>(task.rows - row < kTileRows ? task.rows - row : kTileRows);
            tile.x = static_cast<const char*>(task.x) + row * task.x_stride * item;
            tile.y = static_cast<char*>(task.y) + (row * task.y_stride + column) * y_item;
            function_for(kernel, task, rows)(tile);
            row += rows;
        }
    }
}

} // namespace wander::nn::cpu

#else

namespace wander::nn::cpu {

GemmKernel float_gemm() { return GemmKernel::none; }
GemmKernel bf16_gemm() { return GemmKernel::none; }
void run_gemm(GemmKernel kernel, const Gemm& task) { gemm_reference(kernel, task); }

} // namespace wander::nn::cpu

#endif
