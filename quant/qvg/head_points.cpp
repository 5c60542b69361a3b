#include "quant/qvg/head_points.hpp"

#include "quant/qvg/page_rules.hpp"

#include <algorithm>
#include <bit>

namespace wander::quant::qvg {
namespace {

int coarse_of(std::int16_t fine) { return (fine + 128) >> 8; }

} // namespace

int nearest_whole(float value) {
    return static_cast<std::int16_t>(std::bit_cast<std::uint32_t>(value + kRounder) & 0xFFFFU);
}

HeadPoints::HeadPoints(const float* rows, int tokens, int dim, const std::vector<float>& offset, float least_peak,
                       const PageKernels& kernels)
    : kernels_(kernels),
      tokens_(tokens),
      dim_(dim),
      peak_(std::max(kernels.peak(rows, tokens, dim, offset.data()), least_peak)),
      step_(peak_ / static_cast<float>(kFineLevels)),
      fine_(static_cast<std::size_t>(tokens) * static_cast<std::size_t>(dim)),
      pairs_(static_cast<std::size_t>(groups()) * kLanes * static_cast<std::size_t>(dim) / 2) {
    const float inverse = peak_ > kLeastPeak ? static_cast<float>(kFineLevels) / peak_ : 0.0F;
    kernels.to_fine(rows, tokens, dim, offset.data(), inverse, fine_.data());
    kernels.to_pairs(fine_.data(), tokens, dim, pairs_.data());
}

void HeadPoints::coarse_row(int token, int* out) const {
    std::transform(row(token), row(token) + dim_, out, coarse_of);
}

int HeadPoints::distance(int token, int other) const {
    const std::int16_t* a = row(token);
    const std::int16_t* b = row(other);
    int sum = 0;
    for (int c = 0; c < dim_; ++c) {
        const int d = coarse_of(a[c]) - coarse_of(b[c]);
        sum += d * d;
    }
    return sum;
}

Members HeadPoints::members(int count, const std::int32_t* ids) const {
    std::vector<std::int32_t> sums(static_cast<std::size_t>(count) * static_cast<std::size_t>(dim_));
    kernels_.add_fine(fine_.data(), tokens_, dim_, ids, sums.data());
    Members members;
    members.sums.assign(sums.begin(), sums.end());
    members.count.assign(static_cast<std::size_t>(count), 0);
    for (int t = 0; t < tokens_; ++t) {
        ++members.count[static_cast<std::size_t>(ids[t])];
    }
    return members;
}

std::vector<std::int32_t> HeadPoints::covariance() const {
    const auto columns = static_cast<std::size_t>(dim_);
    const int count = (tokens_ + 1) / 2;
    std::vector<std::int32_t> pairs(static_cast<std::size_t>(count) * columns); // two tokens of a channel in one word
    for (int n = 0; n < count; ++n) {
        for (int c = 0; c < dim_; ++c) {
            const int low = coarse_of(row(2 * n)[c]);
            const int high = 2 * n + 1 < tokens_ ? coarse_of(row(2 * n + 1)[c]) : 0;
            pairs[static_cast<std::size_t>(n) * columns + static_cast<std::size_t>(c)] =
                (low & 0xFFFF) | (high * 65536);
        }
    }
    std::vector<std::int32_t> sums(columns * columns);
    kernels_.add_squares(pairs.data(), count, dim_, sums.data());
    return sums;
}

} // namespace wander::quant::qvg
