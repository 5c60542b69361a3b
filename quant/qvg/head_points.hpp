#pragma once
// The rows of one head as the whole numbers in which they are clustered (page_rules.hpp). Any thread; own memory.

#include "quant/qvg/page_kernels.hpp"

#include <cstdint>
#include <vector>

namespace wander::quant::qvg {

// Rounds to nearest even; less than 2^22 in magnitude.
int nearest_whole(float value);

struct Members {
    std::vector<float> sums; // [count][dim], in steps
    std::vector<int> count;
};

class HeadPoints {
public:
    // rows [tokens][dim] about offset [dim]. least_peak: at least this much must be within reach.
    HeadPoints(const float* rows, int tokens, int dim, const std::vector<float>& offset, float least_peak,
               const PageKernels& kernels);

    const PageKernels& kernels() const { return kernels_; }
    int tokens() const { return tokens_; }
    int dim() const { return dim_; }
    int groups() const { return (tokens_ + kLanes - 1) / kLanes; }
    float peak() const { return peak_; }
    float step() const { return step_; }
    const std::int32_t* pairs() const { return pairs_.data(); } // as PageKernels::to_pairs gives them

    void coarse_row(int token, int* out) const;
    int distance(int token, int other) const; // squared, of the coarse rows
    Members members(int count, const std::int32_t* ids) const;
    std::vector<std::int32_t> covariance() const; // [dim][dim], of the coarse rows

private:
    const std::int16_t* row(int token) const { return fine_.data() + static_cast<std::ptrdiff_t>(token) * dim_; }

    const PageKernels& kernels_;
    int tokens_;
    int dim_;
    float peak_;
    float step_;
    std::vector<std::int16_t> fine_;
    std::vector<std::int32_t> pairs_;
};

} // namespace wander::quant::qvg
