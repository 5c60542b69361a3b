// k-means of one head in float32, tokens taken relative to their mean: sums in token order, products in channel order.
#include "quant/qvg/number_formats.hpp"
#include "quant/qvg/page_encoder.hpp"
#include "quant/qvg/page_kernels.hpp"
#include "quant/qvg/page_rules.hpp"

#include <algorithm>
#include <limits>

namespace wander::quant::qvg {
namespace {

// 16 partial sums, then halves added to each other: an order that vectors and half warps share.
float distance(const float* a, const float* b, int dim) {
    float sums[kLanes] = {};
    for (int first = 0; first < dim; first += kLanes) { // 16 divides the dimension
        for (int l = 0; l < kLanes; ++l) {
            const float d = a[first + l] - b[first + l];
            sums[l] += d * d;
        }
    }
    for (int step = kLanes / 2; step > 0; step /= 2) {
        for (int l = 0; l < step; ++l) {
            sums[l] += sums[l + step];
        }
    }
    return sums[0];
}

// Rows of the first centroids, [count][dim]; see page_rules.hpp.
std::vector<float> start_centroids(const float* rows, int tokens, int dim, int count, int head, std::uint64_t seed) {
    std::vector<float> chosen;
    chosen.reserve(static_cast<std::size_t>(count) * dim);
    for (int k = 0; k < count; ++k) {
        const float* best = rows + static_cast<std::ptrdiff_t>(drawn_token(seed, head, k, 0, tokens)) * dim;
        float farthest = -1;
        for (int draw = 0; k > 0 && draw < kStartDraws; ++draw) {
            const float* row = rows + static_cast<std::ptrdiff_t>(drawn_token(seed, head, k, draw, tokens)) * dim;
            float nearest = std::numeric_limits<float>::infinity();
            for (int other = 0; other < k; ++other) {
                nearest =
                    std::min(nearest, distance(row, chosen.data() + static_cast<std::ptrdiff_t>(other) * dim, dim));
            }
            if (nearest > farthest) {
                farthest = nearest;
                best = row;
            }
        }
        chosen.insert(chosen.end(), best, best + dim);
    }
    return chosen;
}

std::vector<float> mean_row(const float* rows, int tokens, int dim, const PageKernels& kernels) {
    const auto columns = static_cast<std::size_t>(dim);
    std::vector<std::int32_t> part(static_cast<std::size_t>(tokens));
    for (std::size_t t = 0; t < part.size(); ++t) {
        part[t] = static_cast<std::int32_t>(t % kMeanParts);
    }
    std::vector<float> sums(kMeanParts * columns, 0.0F);
    kernels.add_rows(rows, tokens, dim, part.data(), sums.data());
    std::vector<float> mean(columns);
    for (std::size_t c = 0; c < columns; ++c) {
        float sum = sums[c];
        for (std::size_t p = 1; p < kMeanParts; ++p) {
            sum += sums[p * columns + c];
        }
        mean[c] = sum / static_cast<float>(tokens);
    }
    return mean;
}

} // namespace

HeadClusters cluster_rows(const float* rows, int tokens, int dim, int count, int head, std::uint64_t seed,
                          cpu::SimdLevel level) {
    const PageKernels& kernels = page_kernels(level);
    const int groups = (tokens + kLanes - 1) / kLanes;
    const auto columns = static_cast<std::size_t>(dim);
    const auto clusters = static_cast<std::size_t>(count);

    const std::vector<float> mean = mean_row(rows, tokens, dim, kernels);
    std::vector<float> lanes(static_cast<std::size_t>(groups) * kLanes * columns);
    kernels.to_lanes(rows, tokens, dim, mean.data(), nullptr, lanes.data());

    HeadClusters out;
    out.centroids = start_centroids(rows, tokens, dim, count, head, seed);
    out.ids.assign(static_cast<std::size_t>(groups) * kLanes, -1);
    std::vector<std::int32_t> before(out.ids.size());
    std::vector<float> relative(clusters * columns);
    std::vector<float> half_norms(clusters);
    std::vector<float> sums(clusters * columns);
    std::vector<int> members(clusters);
    for (int round = 0; round < lloyd_iterations(count); ++round) {
        for (std::size_t k = 0; k < clusters; ++k) {
            float norm = 0;
            for (std::size_t c = 0; c < columns; ++c) {
                const float value = out.centroids[k * columns + c] - mean[c];
                relative[k * columns + c] = value;
                norm += value * value;
            }
            half_norms[k] = 0.5F * norm;
        }
        std::swap(before, out.ids);
        kernels.assign(lanes.data(), groups, dim, relative.data(), half_norms.data(), count, out.ids.data());
        if (round > 0 && before == out.ids) {
            break; // the centroids are the means of these members already
        }
        std::fill(sums.begin(), sums.end(), 0.0F);
        std::fill(members.begin(), members.end(), 0);
        kernels.add_rows(rows, tokens, dim, out.ids.data(), sums.data());
        for (int t = 0; t < tokens; ++t) {
            ++members[static_cast<std::size_t>(out.ids[static_cast<std::size_t>(t)])];
        }
        for (std::size_t k = 0; k < clusters; ++k) {
            for (std::size_t c = 0; c < columns && members[k] > 0; ++c) { // an empty cluster keeps its centroid
                out.centroids[k * columns + c] = sums[k * columns + c] / static_cast<float>(members[k]);
            }
        }
    }
    for (float& value : out.centroids) {
        value = round_bf16(value);
    }
    return out;
}

} // namespace wander::quant::qvg
