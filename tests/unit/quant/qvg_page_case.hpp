#pragma once
// Rows to make packed pages of, in shapes that end in the middle of something. Without torch.

#include "quant/formats/qvg_page_layout.hpp"
#include "quant/qvg/page_encoder.hpp"

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace wander::quant::qvg {

struct Shape {
    int tokens;
    int heads;
    int head_dim;
    int centroids;
};

inline constexpr Shape kShapes[] = {{336, 5, 64, 4}, {84, 5, 64, 1}, {97, 2, 128, 64},
                                    {33, 3, 16, 3},  {50, 1, 96, 5}, {16, 2, 256, 256}};

// Rows around a few centres with unequal channels, like keys after normalisation.
inline std::vector<float> clustered_rows(const Shape& shape, int centres, float noise, unsigned seed) {
    std::mt19937 generator(seed);
    std::normal_distribution<float> normal(0, 1);
    const auto width = static_cast<std::size_t>(shape.heads) * shape.head_dim;
    std::vector<float> middle(static_cast<std::size_t>(centres) * width);
    for (float& value : middle) {
        value = 1.5F * normal(generator);
    }
    std::vector<float> rows(static_cast<std::size_t>(shape.tokens) * width);
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const std::size_t centre = i / width * 7 % static_cast<std::size_t>(centres);
        rows[i] = middle[centre * width + i % width] + noise * normal(generator);
    }
    return rows;
}

inline QvgPageLayout layout_of(const Shape& shape) {
    return qvg_page_layout(shape.tokens, shape.heads, shape.head_dim, shape.centroids);
}

inline std::vector<std::uint8_t> encode(const std::vector<float>& rows, const Shape& shape, const PageOptions& options,
                                        cpu::SimdLevel level = cpu::best_simd()) {
    const QvgPageLayout layout = layout_of(shape);
    std::vector<std::uint8_t> page(static_cast<std::size_t>(layout.total_bytes), 0xCD);
    encode_page({rows.data(), false}, layout, options, page.data(), level);
    return page;
}

inline double residual_energy(const float* rows, const Shape& shape, const HeadClusters& clusters) {
    double sum = 0;
    for (int t = 0; t < shape.tokens; ++t) {
        for (int c = 0; c < shape.head_dim; ++c) {
            const auto id = static_cast<std::size_t>(clusters.ids[static_cast<std::size_t>(t)]);
            const double d =
                rows[t * shape.head_dim + c] - clusters.centroids[id * static_cast<std::size_t>(shape.head_dim) + c];
            sum += d * d;
        }
    }
    return sum;
}

} // namespace wander::quant::qvg
