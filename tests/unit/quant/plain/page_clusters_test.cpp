// Clustering of a page's rows against the slow way: which centroid is nearest, what points add up to, and that rounds
// and stages never leave more than there was.
#include "quant/qvg/head_points.hpp"
#include "quant/qvg/page_encoder.hpp"
#include "quant/qvg/page_rules.hpp"
#include "tests/unit/quant/qvg_page_case.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace wander::quant::qvg {
namespace {

TEST(QvgPage, ClusteringFindsSeparateCentresAndIgnoresACommonOffset) {
    const Shape shape{336, 1, 64, 4};
    auto rows = clustered_rows(shape, 4, 0.1F, 41);
    for (std::size_t i = 0; i < rows.size(); ++i) {
        rows[i] += i % 64 < 4 ? 100.0F : 0.0F;
    }
    const auto clusters = cluster_rows(rows.data(), shape.tokens, shape.head_dim, 4, 0, 7);
    for (int t = 0; t < shape.tokens; ++t) {
        EXPECT_EQ(clusters.ids[static_cast<std::size_t>(t)], clusters.ids[static_cast<std::size_t>(t % 4)]);
    }
    for (int a = 0; a < 4; ++a) {
        for (int b = 0; b < a; ++b) {
            EXPECT_NE(clusters.ids[static_cast<std::size_t>(a)], clusters.ids[static_cast<std::size_t>(b)]);
        }
    }
}

// A value as a whole number of steps, its upper digit: what clustering works with, taken the slow way.
int coarse(float value, float peak) {
    const float inverse = static_cast<float>(kFineLevels) / peak;
    return static_cast<int>(std::floor((std::nearbyint(value * inverse) + 128) / 256));
}

float largest(const std::vector<float>& values) {
    float most = 0;
    for (const float value : values) {
        most = std::max(most, std::fabs(value));
    }
    return most;
}

// Exactly the nearest of the coarse rows, the first among equals; and nearly the nearest of the rows themselves: a
// coarse value is at most half a coarse step off, so a distance at most sqrt(dim) coarse steps.
TEST(QvgPage, AssignedIsTheNearestCoarseCentroid) {
    for (const Shape& shape : {Shape{97, 1, 128, 64}, Shape{33, 1, 16, 3}, Shape{200, 1, 96, 130}}) {
        const auto rows = clustered_rows(shape, 9, 0.8F, 47);
        const auto dim = static_cast<std::size_t>(shape.head_dim);
        std::vector<float> centroids = clustered_rows({shape.centroids, 1, shape.head_dim, 1}, 9, 0.3F, 48);
        std::copy_n(centroids.begin(), dim, centroids.end() - static_cast<std::ptrdiff_t>(dim)); // two that are equal
        const float peak = std::max(largest(rows), largest(centroids));
        const double slack = 2 * std::sqrt(static_cast<double>(dim)) * peak / 127;
        for (int level = 0; level <= static_cast<int>(cpu::best_simd()); ++level) {
            const auto found =
                assign_rows(rows.data(), shape.tokens, shape.head_dim, centroids, static_cast<cpu::SimdLevel>(level));
            for (std::size_t t = 0; t < static_cast<std::size_t>(shape.tokens); ++t) {
                int nearest = std::numeric_limits<int>::max();
                int id = 0;
                double least = std::numeric_limits<double>::infinity();
                std::vector<double> exact;
                for (int k = 0; k < shape.centroids; ++k) {
                    int distance = 0;
                    double of_values = 0;
                    for (std::size_t c = 0; c < dim; ++c) {
                        const float x = rows[t * dim + c];
                        const float y = centroids[static_cast<std::size_t>(k) * dim + c];
                        const int d = coarse(x, peak) - coarse(y, peak);
                        distance += d * d;
                        of_values += static_cast<double>(x - y) * (x - y);
                    }
                    exact.push_back(std::sqrt(of_values));
                    least = std::min(least, exact.back());
                    id = distance < nearest ? k : id;
                    nearest = std::min(nearest, distance);
                }
                ASSERT_EQ(found.ids[t], id) << shape.head_dim << " level " << level;
                ASSERT_LE(exact[static_cast<std::size_t>(id)], least + slack);
            }
        }
    }
}

TEST(QvgPage, SumsOfPointsAreThoseOfTheirSteps) {
    const Shape shape{67, 1, 48, 5};
    const auto rows = clustered_rows(shape, 5, 0.5F, 53);
    const float peak = largest(rows);
    std::vector<std::int32_t> ids;
    for (int t = 0; t < shape.tokens; ++t) {
        ids.push_back(t * 3 % 4); // nobody has the last one
    }
    for (int level = 0; level <= static_cast<int>(cpu::best_simd()); ++level) {
        const HeadPoints points(rows.data(), shape.tokens, shape.head_dim, std::vector<float>(48), 0.0F,
                                page_kernels(static_cast<cpu::SimdLevel>(level)));
        const Members members = points.members(5, ids.data());
        const auto covariance = points.covariance();
        EXPECT_EQ(points.peak(), peak);
        for (std::size_t a = 0; a < 48; ++a) {
            std::vector<float> sums(5);
            std::vector<int> products(48);
            for (std::size_t t = 0; t < 67; ++t) {
                sums[static_cast<std::size_t>(ids[t])] +=
                    std::nearbyint(rows[t * 48 + a] * (static_cast<float>(kFineLevels) / peak));
                for (std::size_t b = 0; b < 48; ++b) {
                    products[b] += coarse(rows[t * 48 + a], peak) * coarse(rows[t * 48 + b], peak);
                }
            }
            for (std::size_t k = 0; k < 5; ++k) {
                EXPECT_EQ(members.sums[k * 48 + a], sums[k]);
            }
            for (std::size_t b = 0; b < 48; ++b) {
                EXPECT_EQ(covariance[a * 48 + b], products[b]);
            }
        }
        EXPECT_EQ(members.count[4], 0);
    }
}

TEST(QvgPage, RoundsAndStagesNeverRaiseWhatIsLeft) {
    const Shape shape{336, 1, 64, 6};
    auto rows = clustered_rows(shape, 12, 0.6F, 43);
    double before = std::numeric_limits<double>::infinity();
    for (int round = 1; round <= kSessionRounds; ++round) {
        const auto clusters = cluster_rows(rows.data(), shape.tokens, shape.head_dim, 6, 0, 7, RowsAbout::anything,
                                           cpu::best_simd(), round);
        const double left = residual_energy(rows.data(), shape, clusters);
        EXPECT_LE(left, before * (1 + 1e-4)) << round; // centroids are bfloat16
        before = left;
    }
    const QvgPageLayout layout = layout_of(shape);
    for (int stage = 0; stage < 4; ++stage) {
        const auto clusters = cluster_rows(rows.data(), shape.tokens, shape.head_dim, 6, 0, stage_seed(7, stage));
        const double energy = residual_energy(rows.data(), shape, {std::vector<float>(6 * 64, 0.0F), clusters.ids});
        EXPECT_LT(residual_energy(rows.data(), shape, clusters), energy);
        subtract_clusters(clusters, layout, rows.data());
    }
}

} // namespace
} // namespace wander::quant::qvg
