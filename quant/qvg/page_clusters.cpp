// k-means of one head in whole numbers (page_rules.hpp), so that sums and products have one result in any order.
#include "quant/qvg/head_points.hpp"
#include "quant/qvg/number_formats.hpp"
#include "quant/qvg/page_encoder.hpp"
#include "quant/qvg/page_kernels.hpp"
#include "quant/qvg/page_rules.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace wander::quant::qvg {
namespace {

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

// Centroids as the assignment sees them.
class CoarseCentroids {
public:
    CoarseCentroids(int count, int dim)
        : words_(static_cast<std::size_t>(dim) / 2),
          pairs_(static_cast<std::size_t>(count) * words_),
          norms_(static_cast<std::size_t>(count)) {}

    // coarse: [dim], whole numbers of eight bits.
    void put(std::size_t k, const int* coarse) {
        int norm = 0;
        for (std::size_t w = 0; w < words_; ++w) {
            const int low = coarse[2 * w];
            const int high = coarse[2 * w + 1];
            pairs_[k * words_ + w] = (low & 0xFFFF) | (high * 65536);
            norm += low * low + high * high;
        }
        norms_[k] = norm;
    }

    void assign(const HeadPoints& points, std::int32_t* ids) const {
        points.kernels().assign(points.pairs(), points.groups(), points.dim(), pairs_.data(), norms_.data(),
                                static_cast<int>(norms_.size()), ids);
    }

private:
    std::size_t words_;
    std::vector<std::int32_t> pairs_;
    std::vector<std::int32_t> norms_;
};

// Tokens of the first centroids; see page_rules.hpp.
std::vector<int> start_tokens(const HeadPoints& points, int count, int head, std::uint64_t seed) {
    const int tokens = points.tokens();
    std::vector<int> drawn;
    for (int k = 0; k < count; ++k) {
        for (int draw = 0; draw < kStartDraws; ++draw) {
            drawn.push_back(drawn_token(seed, head, k, draw, tokens));
        }
    }
    std::vector<int> nearest(drawn.size(), std::numeric_limits<int>::max());
    std::vector<int> chosen;
    for (int k = 0; k < count; ++k) {
        const std::size_t first = static_cast<std::size_t>(k) * kStartDraws;
        std::size_t best = first;
        for (std::size_t i = first + 1; i < first + kStartDraws; ++i) {
            best = nearest[i] > nearest[best] ? i : best;
        }
        chosen.push_back(drawn[best]);
        for (std::size_t i = first + kStartDraws; i < drawn.size(); ++i) {
            nearest[i] = std::min(nearest[i], points.distance(drawn[i], drawn[best]));
        }
    }
    return chosen;
}

} // namespace

HeadClusters cluster_rows(const float* rows, int tokens, int dim, int count, int head, std::uint64_t seed,
                          RowsAbout about, cpu::SimdLevel level, int rounds) {
    const PageKernels& kernels = page_kernels(level);
    HeadClusters out;
    const std::size_t padded = (static_cast<std::size_t>(tokens) + kLanes - 1) / kLanes * kLanes;
    out.ids.assign(padded, 0);
    const auto columns = static_cast<std::size_t>(dim);
    std::vector<float> offset(columns);
    if (about == RowsAbout::anything || count == 1) {
        offset = mean_row(rows, tokens, dim, kernels);
    }
    if (count == 1) {
        out.centroids = std::move(offset);
    } else {
        const HeadPoints points(rows, tokens, dim, offset, 0.0F, kernels);
        CoarseCentroids coarse(count, dim);
        std::vector<int> line(columns);
        const std::vector<int> start = start_tokens(points, count, head, seed);
        for (std::size_t k = 0; k < start.size(); ++k) {
            const float* row = rows + static_cast<std::ptrdiff_t>(start[k]) * dim;
            out.centroids.insert(out.centroids.end(), row, row + dim);
            points.coarse_row(start[k], line.data());
            coarse.put(k, line.data());
        }
        std::vector<std::int32_t> before(padded);
        for (int round = 0; round < (rounds > 0 ? rounds : lloyd_iterations(count)); ++round) {
            std::swap(before, out.ids);
            coarse.assign(points, out.ids.data());
            if (round > 0 && before == out.ids) {
                break; // the centroids are the means of these members already
            }
            const Members members = points.members(count, out.ids.data());
            for (std::size_t k = 0; k < start.size(); ++k) {
                if (members.count[k] == 0) {
                    continue; // an empty cluster keeps its centroid
                }
                for (std::size_t c = 0; c < columns; ++c) {
                    const float average = members.sums[k * columns + c] / static_cast<float>(members.count[k]);
                    out.centroids[k * columns + c] = offset[c] + average * points.step();
                    line[c] = nearest_whole(average * kCoarseShare);
                }
                coarse.put(k, line.data());
            }
        }
    }
    for (float& value : out.centroids) {
        value = round_bf16(value);
    }
    return out;
}

HeadClusters assign_rows(const float* rows, int tokens, int dim, std::vector<float> centroids, cpu::SimdLevel level) {
    const PageKernels& kernels = page_kernels(level);
    const std::vector<float> nothing(static_cast<std::size_t>(dim));
    const int count = static_cast<int>(centroids.size()) / dim;
    const HeadPoints points(rows, tokens, dim, nothing, kernels.peak(centroids.data(), count, dim, nothing.data()),
                            kernels);
    const HeadPoints places(centroids.data(), count, dim, nothing, points.peak(), kernels);
    CoarseCentroids coarse(count, dim);
    std::vector<int> line(static_cast<std::size_t>(dim));
    for (int k = 0; k < count; ++k) {
        places.coarse_row(k, line.data());
        coarse.put(static_cast<std::size_t>(k), line.data());
    }
    HeadClusters out;
    out.ids.resize((static_cast<std::size_t>(tokens) + kLanes - 1) / kLanes * kLanes);
    coarse.assign(points, out.ids.data());
    out.centroids = std::move(centroids);
    return out;
}

} // namespace wander::quant::qvg
