// Between rows of channels, which tensors have, and columns of queries, which the tile kernels want.
#include "quant/cpu/tiles.hpp"

#include <algorithm>

namespace wander::quant::cpu {
namespace {

// Both sides of a square of this many queries and channels stay in the first-level cache.
constexpr int kSquare = 16;

} // namespace

template <class E>
void pack_queries(const E* rows, int queries, int columns, int head_dim, E* packed) {
    constexpr int kGroup = std::is_same_v<E, Bf16> ? 2 : 1;
    for (int q0 = 0; q0 < columns; q0 += kSquare) {
        const int q1 = std::min(q0 + kSquare, columns);
        for (int c = 0; c < head_dim; c += kGroup) {
            E* out = packed + static_cast<std::ptrdiff_t>(c) * columns;
            for (int q = q0; q < q1; ++q) {
                for (int i = 0; i < kGroup; ++i) {
                    out[q * kGroup + i] = q < queries ? rows[static_cast<std::ptrdiff_t>(q) * head_dim + c + i] : E{};
                }
            }
        }
    }
}

template <class E>
void write_results(const ResultBlock<E>& block) {
    using A = Accum<E>;
    A square[4][kSquare];
    A turned[4][kSquare];
    for (int q0 = 0; q0 < block.queries; q0 += kSquare) {
        const int count = std::min(kSquare, block.queries - q0);
        A scale[kSquare];
        const A* matrix[kSquare] = {};
        for (int q = 0; q < count; ++q) {
            scale[q] = A(1) / block.weight[q0 + q];
            matrix[q] =
                block.matrices ? block.matrices + (block.first_query + q0 + q) / block.tokens_per_latent * 16 : nullptr;
        }
        for (int c = 0; c < block.head_dim; c += 4) {
            const int channels = std::min(4, block.head_dim - c);
            for (int i = 0; i < channels; ++i) {
                const A* out = block.out + static_cast<std::ptrdiff_t>(c + i) * block.columns + q0;
                for (int q = 0; q < count; ++q) {
                    square[i][q] = out[q] * scale[q];
                }
            }
            for (int i = 0; block.matrices && i < 4; ++i) {
                for (int q = 0; q < count; ++q) {
                    const A* row = matrix[q] + i * 4;
                    turned[i][q] =
                        row[0] * square[0][q] + row[1] * square[1][q] + row[2] * square[2][q] + row[3] * square[3][q];
                }
            }
            for (int q = 0; q < count; ++q) {
                E* row = block.rows + (q0 + q) * block.stride + c;
                for (int i = 0; i < channels; ++i) {
                    row[i] = narrow<E>(block.matrices ? turned[i][q] : square[i][q]);
                }
            }
        }
    }
}

template void pack_queries<double>(const double*, int, int, int, double*);
template void pack_queries<float>(const float*, int, int, int, float*);
template void pack_queries<Bf16>(const Bf16*, int, int, int, Bf16*);
template void write_results<double>(const ResultBlock<double>&);
template void write_results<float>(const ResultBlock<float>&);
template void write_results<Bf16>(const ResultBlock<Bf16>&);

} // namespace wander::quant::cpu
