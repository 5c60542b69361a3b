#include "quant/qvg/dump_kmeans.hpp"

#include "quant/qvg/number_formats.hpp"

#include <cstddef>
#include <limits>
#include <utility>

namespace wander::quant::qvg {
namespace {

std::vector<std::uint16_t> narrowed(const std::vector<float>& values) {
    std::vector<std::uint16_t> out;
    out.reserve(values.size());
    for (const float value : values) {
        out.push_back(float_to_bf16(value));
    }
    return out;
}

std::vector<float> widened(const std::vector<std::uint16_t>& values) {
    std::vector<float> out;
    out.reserve(values.size());
    for (const std::uint16_t value : values) {
        out.push_back(bf16_to_float(value));
    }
    return out;
}

void assign(const KmeansShape& shape, const std::vector<float>& points, const std::vector<float>& centroids,
            std::vector<std::uint8_t>& ids) {
    for (int g = 0; g < shape.groups; ++g) {
        for (int n = 0; n < shape.points; ++n) {
            const std::ptrdiff_t row = static_cast<std::ptrdiff_t>(g) * shape.points + n;
            const float* x = points.data() + row * shape.dim;
            double least = std::numeric_limits<double>::infinity();
            for (int k = 0; k < shape.clusters; ++k) {
                const float* centroid =
                    centroids.data() + (static_cast<std::ptrdiff_t>(g) * shape.clusters + k) * shape.dim;
                double distance = 0;
                for (int c = 0; c < shape.dim; ++c) {
                    const double d = static_cast<double>(x[c]) - static_cast<double>(centroid[c]);
                    distance += d * d;
                }
                if (distance < least) {
                    least = distance;
                    ids[static_cast<std::size_t>(row)] = static_cast<std::uint8_t>(k);
                }
            }
        }
    }
}

void update(const KmeansShape& shape, const std::vector<float>& points, const std::vector<std::uint8_t>& ids,
            std::vector<float>& centroids) {
    const auto dim = static_cast<std::size_t>(shape.dim);
    const auto clusters = static_cast<std::size_t>(shape.clusters);
    for (std::size_t g = 0; g < static_cast<std::size_t>(shape.groups); ++g) {
        std::vector<double> sums(clusters * dim);
        std::vector<double> members(clusters);
        for (std::size_t n = 0; n < static_cast<std::size_t>(shape.points); ++n) {
            const std::size_t row = g * static_cast<std::size_t>(shape.points) + n;
            ++members[ids[row]];
            for (std::size_t c = 0; c < dim; ++c) {
                sums[ids[row] * dim + c] += static_cast<double>(points[row * dim + c]);
            }
        }
        for (std::size_t k = 0; k < clusters; ++k) {
            for (std::size_t c = 0; c < dim && members[k] > 0; ++c) {
                centroids[(g * clusters + k) * dim + c] =
                    round_bf16(static_cast<float>(sums[k * dim + c] / members[k]));
            }
        }
    }
}

} // namespace

KmeansResult run_kmeans(const KmeansShape& shape, const std::vector<std::uint16_t>& points,
                        const std::vector<std::uint16_t>& start, int max_iterations, double tolerance) {
    const std::vector<float> wide_points = widened(points);
    std::vector<float> centroids = widened(start);
    KmeansResult result;
    result.ids.resize(static_cast<std::size_t>(shape.groups) * static_cast<std::size_t>(shape.points));
    std::vector<std::uint8_t> before(result.ids.size());
    while (result.iterations < max_iterations) {
        std::swap(before, result.ids);
        assign(shape, wide_points, centroids, result.ids);
        ++result.iterations;
        std::size_t changed = 0;
        for (std::size_t i = 0; i < before.size(); ++i) {
            changed += before[i] != result.ids[i] ? 1 : 0;
        }
        if (result.iterations > 1 && static_cast<double>(changed) < tolerance * static_cast<double>(before.size())) {
            break;
        }
        update(shape, wide_points, result.ids, centroids);
    }
    result.centroids = narrowed(centroids);
    return result;
}

void update_centroids(const KmeansShape& shape, const std::vector<std::uint16_t>& points,
                      const std::vector<std::uint8_t>& ids, std::vector<std::uint16_t>& centroids) {
    std::vector<float> wide = widened(centroids);
    update(shape, widened(points), ids, wide);
    centroids = narrowed(wide);
}

} // namespace wander::quant::qvg
