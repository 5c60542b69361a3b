// k-means of one head in float32, tokens taken relative to their mean: sums in token order, products in channel order.
#include "quant/qvg/number_formats.hpp"
#include "quant/qvg/page_encoder.hpp"
#include "quant/qvg/page_kernels.hpp"
#include "quant/qvg/page_rules.hpp"

#include <algorithm>
#include <limits>
#include <utility>

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

// Which centroid is nearest, everything taken relative to the mean of the rows.
class Assignment {
public:
    Assignment(const float* rows, int tokens, int dim, int count, const PageKernels& kernels)
        : dim_(dim),
          count_(count),
          groups_((tokens + kLanes - 1) / kLanes),
          kernels_(kernels),
          mean_(mean_row(rows, tokens, dim, kernels)),
          lanes_(static_cast<std::size_t>(groups_) * kLanes * static_cast<std::size_t>(dim)),
          relative_(static_cast<std::size_t>(count) * static_cast<std::size_t>(dim)),
          half_norms_(static_cast<std::size_t>(count)) {
        kernels.to_lanes(rows, tokens, dim, mean_.data(), nullptr, lanes_.data());
    }

    std::size_t padded_tokens() const { return static_cast<std::size_t>(groups_) * kLanes; }

    void assign(const float* centroids, std::int32_t* ids) {
        const auto columns = static_cast<std::size_t>(dim_);
        for (std::size_t k = 0; k < half_norms_.size(); ++k) {
            float norm = 0;
            for (std::size_t c = 0; c < columns; ++c) {
                const float value = centroids[k * columns + c] - mean_[c];
                relative_[k * columns + c] = value;
                norm += value * value;
            }
            half_norms_[k] = 0.5F * norm;
        }
        kernels_.assign(lanes_.data(), groups_, dim_, relative_.data(), half_norms_.data(), count_, ids);
    }

private:
    int dim_;
    int count_;
    int groups_;
    const PageKernels& kernels_;
    std::vector<float> mean_;
    std::vector<float> lanes_;
    std::vector<float> relative_;
    std::vector<float> half_norms_;
};

} // namespace

HeadClusters cluster_rows(const float* rows, int tokens, int dim, int count, int head, std::uint64_t seed,
                          cpu::SimdLevel level, int rounds) {
    const PageKernels& kernels = page_kernels(level);
    Assignment assignment(rows, tokens, dim, count, kernels);
    HeadClusters out;
    out.centroids = start_centroids(rows, tokens, dim, count, head, seed);
    out.ids.assign(assignment.padded_tokens(), -1);
    std::vector<std::int32_t> before(out.ids.size());
    for (int round = 0; round < (rounds > 0 ? rounds : lloyd_iterations(count)); ++round) {
        std::swap(before, out.ids);
        assignment.assign(out.centroids.data(), out.ids.data());
        if (round > 0 && before == out.ids) {
            break; // the centroids are the means of these members already
        }
        const Members members = add_members(rows, tokens, dim, count, out.ids.data(), level);
        for (std::size_t k = 0; k < members.count.size(); ++k) {
            for (std::size_t c = 0; c < static_cast<std::size_t>(dim) && members.count[k] > 0; ++c) {
                const std::size_t at = k * static_cast<std::size_t>(dim) + c; // an empty cluster keeps its centroid
                out.centroids[at] = members.sums[at] / static_cast<float>(members.count[k]);
            }
        }
    }
    for (float& value : out.centroids) {
        value = round_bf16(value);
    }
    return out;
}

HeadClusters assign_rows(const float* rows, int tokens, int dim, std::vector<float> centroids, cpu::SimdLevel level) {
    Assignment assignment(rows, tokens, dim, static_cast<int>(centroids.size()) / dim, page_kernels(level));
    HeadClusters out;
    out.ids.resize(assignment.padded_tokens());
    assignment.assign(centroids.data(), out.ids.data());
    out.centroids = std::move(centroids);
    return out;
}

Members add_members(const float* rows, int tokens, int dim, int count, const std::int32_t* ids, cpu::SimdLevel level) {
    Members members;
    members.sums.assign(static_cast<std::size_t>(count) * static_cast<std::size_t>(dim), 0.0F);
    members.count.assign(static_cast<std::size_t>(count), 0);
    page_kernels(level).add_rows(rows, tokens, dim, ids, members.sums.data());
    for (int t = 0; t < tokens; ++t) {
        ++members.count[static_cast<std::size_t>(ids[t])];
    }
    return members;
}

} // namespace wander::quant::qvg
