// The few directions that a page of pca2 keeps of what its centroids leave.
#include "quant/qvg/page_basis.hpp"

#include "quant/qvg/number_formats.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace wander::quant::qvg {
namespace {

TEST(QvgPage, TheBasisFindsFewDirections) {
    std::mt19937 generator(3);
    std::normal_distribution<float> normal(0, 1);
    std::vector<float> directions(4 * 64);
    for (float& value : directions) {
        value = normal(generator);
    }
    std::vector<float> rows(200 * 64);
    double power = 0;
    for (std::size_t t = 0; t < 200; ++t) {
        const float weights[4] = {3 * normal(generator), 2 * normal(generator), normal(generator), normal(generator)};
        for (std::size_t c = 0; c < 64; ++c) {
            for (std::size_t k = 0; k < 4; ++k) {
                rows[t * 64 + c] += weights[k] * directions[k * 64 + c];
            }
            power += static_cast<double>(rows[t * 64 + c]) * rows[t * 64 + c];
        }
    }
    const HeadBasis basis = fit_basis(rows.data(), 200, 64);
    double left = 0;
    for (std::size_t t = 0; t < 200; ++t) {
        for (std::size_t c = 0; c < 64; ++c) {
            float value = 0;
            for (std::size_t k = 0; k < 4; ++k) {
                value += basis.spans[k] * static_cast<float>(basis.weights[t * 4 + k]) *
                         bf16_to_float(basis.rows[k * 64 + c]);
            }
            const double miss = rows[t * 64 + c] - value;
            left += miss * miss;
        }
    }
    EXPECT_LT(left / power, 2e-4); // bytes of weights: (1 / 127)^2 / 12 of the square of the largest
    for (std::size_t k = 0; k < 4; ++k) {
        for (std::size_t j = 0; j <= k; ++j) {
            double product = 0;
            for (std::size_t c = 0; c < 64; ++c) {
                product +=
                    static_cast<double>(bf16_to_float(basis.rows[k * 64 + c])) * bf16_to_float(basis.rows[j * 64 + c]);
            }
            EXPECT_NEAR(product, k == j ? 1.0 : 0.0, 1e-2);
        }
    }
}

TEST(QvgPage, TheBasisOfNothingIsNothing) {
    const std::vector<float> rows(48 * 32);
    const HeadBasis basis = fit_basis(rows.data(), 48, 32);
    EXPECT_EQ(basis.spans, std::vector<float>(4, 0.0F));
    EXPECT_EQ(basis.weights, std::vector<std::int8_t>(48 * 4, 0));
}

} // namespace
} // namespace wander::quant::qvg
