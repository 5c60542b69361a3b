#include "quant/qvg/page_basis.hpp"

#include "quant/qvg/head_points.hpp"
#include "quant/qvg/number_formats.hpp"
#include "quant/qvg/page_kernels.hpp"
#include "quant/qvg/page_rules.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace wander::quant::qvg {
namespace {

// 16 partial sums, then halves added to each other: an order that vectors and half warps share.
float dot(const float* a, const float* b, int dim) {
    float sums[kLanes] = {};
    for (int first = 0; first < dim; first += kLanes) { // 16 divides the dimension
        for (int l = 0; l < kLanes; ++l) {
            sums[l] += a[first + l] * b[first + l];
        }
    }
    for (int step = kLanes / 2; step > 0; step /= 2) {
        for (int l = 0; l < step; ++l) {
            sums[l] += sums[l + step];
        }
    }
    return sums[0];
}

// Gram and Schmidt, in place; a row that the others explain becomes zero.
void orthonormalise(float* basis, int dim) {
    for (int k = 0; k < kBasisRank; ++k) {
        float* row = basis + static_cast<std::ptrdiff_t>(k) * dim;
        for (int j = 0; j < k; ++j) {
            const float* other = basis + static_cast<std::ptrdiff_t>(j) * dim;
            const float share = dot(row, other, dim);
            for (int c = 0; c < dim; ++c) {
                row[c] -= share * other[c];
            }
        }
        const float square = dot(row, row, dim);
        const float inverse = square > 0 ? 1.0F / std::sqrt(square) : 0.0F;
        for (int c = 0; c < dim; ++c) {
            row[c] *= inverse;
        }
    }
}

} // namespace

HeadBasis fit_basis(const float* rows, int tokens, int dim, cpu::SimdLevel level) {
    const PageKernels& kernels = page_kernels(level);
    const int groups = (tokens + kLanes - 1) / kLanes;
    const auto padded = static_cast<std::size_t>(groups) * kLanes;
    const auto values = static_cast<std::size_t>(kBasisRank) * static_cast<std::size_t>(dim);
    const std::vector<float> zero(static_cast<std::size_t>(dim));
    std::vector<float> lanes(padded * static_cast<std::size_t>(dim));
    kernels.to_lanes(rows, tokens, dim, zero.data(), nullptr, lanes.data());

    std::vector<float> basis;
    basis.reserve(values);
    for (int k = 0; k < kBasisRank; ++k) {
        for (int c = 0; c < dim; ++c) {
            basis.push_back(start_sign(k, c));
        }
    }
    orthonormalise(basis.data(), dim);
    std::vector<float> weights(kBasisRank * padded);
    const HeadPoints points(rows, tokens, dim, zero, 0.0F, kernels);
    const std::vector<std::int32_t> covariance = points.covariance();
    const auto columns = static_cast<std::size_t>(dim);
    std::vector<float> turned(values);
    for (int round = 0; round < kBasisRounds; ++round) {
        std::fill(turned.begin(), turned.end(), 0.0F);
        for (std::size_t j = 0; j < columns; ++j) {
            const std::int32_t* of = covariance.data() + j * columns;
            for (std::size_t k = 0; k < kBasisRank; ++k) {
                const float share = basis[k * columns + j];
                for (std::size_t c = 0; c < columns; ++c) {
                    turned[k * columns + c] += static_cast<float>(of[c]) * share;
                }
            }
        }
        std::swap(basis, turned);
        orthonormalise(basis.data(), dim);
    }

    HeadBasis out;
    for (float& value : basis) {
        out.rows.push_back(float_to_bf16(value));
        value = round_bf16(value);
    }
    kernels.project(lanes.data(), groups, dim, basis.data(), weights.data());
    out.weights.resize(static_cast<std::size_t>(tokens) * kBasisRank);
    for (std::size_t k = 0; k < kBasisRank; ++k) {
        const float* of = weights.data() + k * padded;
        float most = 0;
        for (int t = 0; t < tokens; ++t) {
            most = std::max(most, std::fabs(of[t]));
        }
        const float inverse = most > 0 ? 127.0F / most : 0.0F;
        out.spans.push_back(most / 127.0F);
        for (int t = 0; t < tokens; ++t) {
            const float code = std::clamp(std::round(of[t] * inverse), -127.0F, 127.0F);
            out.weights[static_cast<std::size_t>(t) * kBasisRank + k] = static_cast<std::int8_t>(code);
        }
    }
    return out;
}

} // namespace wander::quant::qvg
