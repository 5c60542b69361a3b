#pragma once
// The mean of a head and the grid of steps about it. Plain twin:
// qvg/page_clusters.cpp, bit for bit.

#include "quant/cuda/qvg_work.cuh"

namespace wander::quant::cuda {
namespace {

constexpr int kMeanChannels = 64;

// Mean, least and largest value of each channel. Threads: 32 pairs of channels x kMeanParts.
template <bool kBf16, Rows kRows>
__global__ void mean_kernel(Work<kBf16, kRows> work) {
    __shared__ float sums[qvg::kMeanParts][kMeanChannels];
    __shared__ float lows[qvg::kMeanParts][kMeanChannels];
    __shared__ float highs[qvg::kMeanParts][kMeanChannels];
    const int dim = work.layout().head_dim;
    const int inside = static_cast<int>(threadIdx.x) * 2;
    const int pair = min(static_cast<int>(blockIdx.x) * kMeanChannels + inside, dim - 2);
    const int tokens = work.layout().tokens;
    float sum[2] = {};
    float low[2] = {INFINITY, INFINITY};
    float high[2] = {-INFINITY, -INFINITY};
#pragma unroll 8
    for (int t = static_cast<int>(threadIdx.y); t < tokens; t += qvg::kMeanParts) {
        float x[2];
        load_source(work, t, pair, x);
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            sum[i] = __fadd_rn(sum[i], x[i]);
            low[i] = fminf(low[i], x[i]);
            high[i] = fmaxf(high[i], x[i]);
        }
    }
    for (int i = 0; i < 2; ++i) {
        sums[threadIdx.y][inside + i] = sum[i];
        lows[threadIdx.y][inside + i] = low[i];
        highs[threadIdx.y][inside + i] = high[i];
    }
    __syncthreads();
    const int at = static_cast<int>(threadIdx.y) * 32 + static_cast<int>(threadIdx.x);
    const int channel = static_cast<int>(blockIdx.x) * kMeanChannels + at;
    if (at >= kMeanChannels || channel >= dim) {
        return;
    }
    float total = sums[0][at];
    float least = lows[0][at];
    float largest = highs[0][at];
    for (int p = 1; p < qvg::kMeanParts; ++p) {
        total = __fadd_rn(total, sums[p][at]);
        least = fminf(least, lows[p][at]);
        largest = fmaxf(largest, highs[p][at]);
    }
    float mean = __fdiv_rn(total, static_cast<float>(tokens));
    if (work.clusters() == 1) {
        work.centroids()[channel] = mean;
    }
    if constexpr (kRows == Rows::about_mean) {
        mean = rounded_bf16(mean);
    }
    work.mean()[channel] = mean;
    work.lowest()[channel] = least;
    work.highest()[channel] = largest;
}

// Largest magnitude of the points of a head: those of the least and the largest values, for what makes a point of a
// value never changes their order.
template <bool kBf16, Rows kRows>
__device__ float head_peak(const Work<kBf16, kRows>& work) {
    if constexpr (kRows == Rows::left_over) {
        return __int_as_float(work.peak());
    }
    float most = 0;
    for (int c = static_cast<int>(threadIdx.x); c < work.layout().head_dim; c += static_cast<int>(blockDim.x)) {
        const float mean = work.mean()[c];
        most = fmaxf(most, fabsf(point_value<kBf16, kRows>(work.lowest()[c], mean)));
        most = fmaxf(most, fabsf(point_value<kBf16, kRows>(work.highest()[c], mean)));
    }
    return block_max(most);
}

template <bool kBf16, Rows kRows>
__device__ StepGrid put_grid(const Work<kBf16, kRows>& work, float peak) {
    constexpr auto kLevels = static_cast<float>(qvg::kFineLevels);
    const StepGrid grid{peak > qvg::kLeastPeak ? __fdiv_rn(kLevels, peak) : 0.0F, __fdiv_rn(peak, kLevels)};
    if (threadIdx.x == 0) {
        work.grid() = grid;
    }
    return grid;
}

} // namespace
} // namespace wander::quant::cuda
