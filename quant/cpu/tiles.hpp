#pragma once
// Attention over tiles on the CPU: one tile is the tokens of one latent (or a part of it) of one head, small enough
// that its expanded keys, values and scores stay in the core's own caches.
//
// Everything here is raw pointers and one thread; the caller owns all memory. Each function exists as a plain twin
// (SimdLevel::portable) and in wider forms that are chosen at run time. Tolerances against the twin: fp32 1e-5 relative
// to the largest value, bf16 one rounding of each product's inputs (tests/unit/quant/tiles_test.cpp).

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace wander::quant::cpu {

struct Bf16 {
    std::uint16_t bits;
};

// Type of rotations, scores and sums for elements of type E.
template <class E>
using Accum = std::conditional_t<std::is_same_v<E, double>, double, float>;

inline constexpr int kMaxColumns = 96; // queries of one block, padded to a multiple of kColumnStep
inline constexpr int kColumnStep = 8;
inline constexpr int kMaxTileTokens = 96;

// How the rows of one tile turn: x'[c] = x[c] * cos[c] + x[c ^ 1] * sin[c], the sign of the sine folded into the table.
// Channels below time_channels take time_*, the others the row of the token in space_*.
template <class A>
struct TileRotation {
    const A* space_cos = nullptr; // [tokens][head_dim], first row = first token of the tile
    const A* space_sin = nullptr;
    const A* time_cos = nullptr; // [head_dim]
    const A* time_sin = nullptr;
    int time_channels = 0;
    const A* matrix = nullptr; // 4 x 4 row-major, for every group of 4 channels; null: no second branch
};

// rows: `tokens` rows of head_dim channels, `stride` elements apart. Outputs are dense rows; null: not wanted.
template <class In, class E>
struct KeyTile {
    const In* rows = nullptr;
    std::ptrdiff_t stride = 0;
    int tokens = 0;
    int head_dim = 0;
    E* rope = nullptr;
    E* prope = nullptr;
};

// Values are attended as dense rows, except Bf16: pairs of tokens, [(tokens + 1) / 2][head_dim][2], zero where odd.
template <class In, class E>
struct ValueTile {
    const In* rows = nullptr;
    std::ptrdiff_t stride = 0;
    int tokens = 0;
    int head_dim = 0;
    E* plain = nullptr; // without PRoPE; null: not wanted
    E* prope = nullptr;
};

// One block of queries against one tile; out, peak and weight carry over from tile to tile (the partial softmaxes are
// merged by their log-sum-exp as they come). Start: out 0, peak -infinity, weight 0.
template <class E>
struct AttendTile {
    const E* queries = nullptr; // [head_dim][columns]; Bf16: [head_dim / 2][columns][2]
    int columns = 0;            // multiple of kColumnStep, at most kMaxColumns
    const E* keys = nullptr;    // [tokens][head_dim]
    std::ptrdiff_t key_stride = 0;
    const E* values = nullptr;       // see ValueTile
    std::ptrdiff_t value_stride = 0; // elements from row to row; Bf16: from pair of rows to pair of rows
    int tokens = 0;
    int head_dim = 0;           // even for Bf16
    Accum<E> scale_log2 = 0;    // log2(e) / sqrt(head_dim)
    Accum<E>* scores = nullptr; // scratch, [kMaxTileTokens][kMaxColumns]
    Accum<E>* out = nullptr;    // [head_dim][columns]
    Accum<E>* peak = nullptr;   // [columns], largest raw score so far
    Accum<E>* weight = nullptr; // [columns], sum of exponentials relative to peak
};

template <class E>
struct TileKernels {
    void (*expand_keys)(const KeyTile<E, E>&, const TileRotation<Accum<E>>&);
    void (*expand_float_keys)(const KeyTile<float, E>&, const TileRotation<Accum<E>>&); // decoded pages
    void (*expand_values)(const ValueTile<E, E>&, const TileRotation<Accum<E>>&);
    void (*expand_float_values)(const ValueTile<float, E>&, const TileRotation<Accum<E>>&);
    void (*attend)(const AttendTile<E>&);
};

enum class SimdLevel { portable, avx2, avx512, avx512_bf16 };

SimdLevel best_simd();
// Kernels for the level, or the best below it that exists for E. head_dim a multiple of 16 is the fast case.
template <class E>
const TileKernels<E>& tile_kernels(SimdLevel level);

// [queries][head_dim] dense rows -> the layout of AttendTile::queries; columns beyond `queries` become zero.
template <class E>
void pack_queries(const E* rows, int queries, int columns, int head_dim, E* packed);

// The merged result of one block of queries, to be divided by its weights and written as rows.
template <class E>
struct ResultBlock {
    int queries = 0;
    int columns = 0;
    int head_dim = 0;
    const Accum<E>* out = nullptr;    // [head_dim][columns]
    const Accum<E>* weight = nullptr; // [columns]
    const Accum<E>* matrices =
        nullptr;         // [latents][4][4], of latent query / tokens_per_latent; null: rows stay as they are
    int first_query = 0; // of the block within the chunk
    int tokens_per_latent = 1;
    E* rows = nullptr;
    std::ptrdiff_t stride = 0;
};

template <class E>
void write_results(const ResultBlock<E>& block);

inline float widen(Bf16 value) {
    const std::uint32_t bits = static_cast<std::uint32_t>(value.bits) << 16;
    float out;
    __builtin_memcpy(&out, &bits, sizeof out);
    return out;
}
inline float widen(float value) { return value; }
inline double widen(double value) { return value; }

template <class E, class A>
inline E narrow(A value) {
    if constexpr (std::is_same_v<E, Bf16>) {
        std::uint32_t bits;
        const float single = static_cast<float>(value);
        __builtin_memcpy(&bits, &single, sizeof bits);
        return Bf16{static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16)};
    } else {
        return static_cast<E>(value);
    }
}

} // namespace wander::quant::cpu
