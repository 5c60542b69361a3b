#include "generator/nn/cuda/row_parts.cuh"
#include "generator/train/cuda/picture_norm.hpp"

#include <algorithm>

namespace wander::train::cuda {
namespace {

constexpr int kThreads = 256;

// A row is the work of kLanes neighbouring lanes, of which the first channels / 8 hold values.
template <int kLanes>
struct RowPlace {
    static constexpr int kRows = kThreads / kLanes; // of a block at one time
    int lane = static_cast<int>(threadIdx.x) % kLanes;
    int row = static_cast<int>(threadIdx.x) / kLanes;
};

template <int kLanes>
__device__ float sum_of_row(float value) {
#pragma unroll
    for (int step = kLanes / 2; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffU, value, step);
    return value;
}

__device__ float logistic(float x) { return 1.0F / (1.0F + __expf(-x)); }

template <int kLanes>
__global__ void __launch_bounds__(kThreads) forward(PictureNormJob job) {
    const RowPlace<kLanes> place;
    const bool holds = place.lane < job.channels / 8;
    float gamma[8] = {};
    if (holds) nn::cuda::load(job.gamma + place.lane * 8, gamma);
    const auto stride = static_cast<std::int64_t>(gridDim.x) * place.kRows;
    const std::int64_t rounds = (job.rows + stride - 1) / stride; // the same for all lanes of a warp
    std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * place.kRows + place.row;
    for (std::int64_t round = 0; round < rounds; ++round, row += stride) {
        const bool works = holds && row < job.rows;
        const std::int64_t at = row * job.channels + place.lane * 8;
        float x[8] = {};
        if (works) nn::cuda::load(static_cast<const __nv_bfloat16*>(job.x) + at, x);
        float squares = 0.0F;
#pragma unroll
        for (float v : x) squares = fmaf(v, v, squares);
        const float factor = rsqrtf(sum_of_row<kLanes>(squares) / static_cast<float>(job.channels) + job.eps);
        if (!works) continue;
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            const float u = x[i] * factor * gamma[i];
            x[i] = u * logistic(u);
        }
        nn::cuda::store(static_cast<__nv_bfloat16*>(job.y) + at, x);
    }
}

// With r = 1 / rms, u = x r gamma, y = u s(u): du = dy s (1 + u (1 - s)), dgamma = sum of du x r over rows,
// dx = r gamma du - x r^3 / C * sum of du gamma x over channels.
template <int kLanes>
__global__ void __launch_bounds__(kThreads) backward(PictureNormJob job) {
    __shared__ float sums[kThreads * 8];
    const RowPlace<kLanes> place;
    const bool holds = place.lane < job.channels / 8;
    float gamma[8] = {};
    if (holds) nn::cuda::load(job.gamma + place.lane * 8, gamma);
    float dgamma[8] = {};
    const auto stride = static_cast<std::int64_t>(gridDim.x) * place.kRows;
    const std::int64_t rounds = (job.rows + stride - 1) / stride;
    std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * place.kRows + place.row;
    for (std::int64_t round = 0; round < rounds; ++round, row += stride) {
        const bool works = holds && row < job.rows;
        const std::int64_t at = row * job.channels + place.lane * 8;
        float x[8] = {};
        float du[8] = {};
        if (works) {
            nn::cuda::load(static_cast<const __nv_bfloat16*>(job.x) + at, x);
            nn::cuda::load(static_cast<const __nv_bfloat16*>(job.dy) + at, du);
        }
        float squares = 0.0F;
#pragma unroll
        for (float v : x) squares = fmaf(v, v, squares);
        const auto channels = static_cast<float>(job.channels);
        const float factor = rsqrtf(sum_of_row<kLanes>(squares) / channels + job.eps);
        float along = 0.0F;
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            const float u = x[i] * factor * gamma[i];
            const float s = logistic(u);
            du[i] *= s * (1.0F + u * (1.0F - s));
            dgamma[i] += du[i] * x[i] * factor;
            du[i] *= gamma[i];
            along = fmaf(du[i], x[i], along);
        }
        along = sum_of_row<kLanes>(along) * factor * factor / channels;
        if (!works) continue;
#pragma unroll
        for (int i = 0; i < 8; ++i) x[i] = factor * (du[i] - x[i] * along);
        nn::cuda::store(static_cast<__nv_bfloat16*>(job.dx) + at, x);
    }
#pragma unroll
    for (int i = 0; i < 8; ++i) sums[(place.row * kLanes + place.lane) * 8 + i] = dgamma[i];
    __syncthreads();
    for (int channel = static_cast<int>(threadIdx.x); channel < job.channels; channel += kThreads) {
        float sum = 0.0F;
        for (int r = 0; r < place.kRows; ++r) sum += sums[r * kLanes * 8 + channel];
        job.dgamma[static_cast<std::int64_t>(blockIdx.x) * job.channels + channel] = sum;
    }
}

template <int kLanes>
void launch_forward(const PictureNormJob& job, CUstream_st* stream) {
    constexpr std::int64_t kMostBlocks = 132 * 16;
    const std::int64_t blocks = std::min(kMostBlocks, (job.rows + kThreads / kLanes - 1) / (kThreads / kLanes));
    forward<kLanes><<<static_cast<unsigned>(blocks), kThreads, 0, stream>>>(job);
}

template <int kLanes>
void launch_backward(const PictureNormJob& job, CUstream_st* stream) {
    backward<kLanes><<<kPictureNormParts, kThreads, 0, stream>>>(job);
}

} // namespace

void launch_picture_norm_forward(const PictureNormJob& job, CUstream_st* stream) {
    if (job.rows == 0) return;
    const int lanes = job.channels / 8;
    if (lanes <= 1) return launch_forward<1>(job, stream);
    if (lanes <= 2) return launch_forward<2>(job, stream);
    if (lanes <= 4) return launch_forward<4>(job, stream);
    if (lanes <= 8) return launch_forward<8>(job, stream);
    if (lanes <= 16) return launch_forward<16>(job, stream);
    launch_forward<32>(job, stream);
}

void launch_picture_norm_backward(const PictureNormJob& job, CUstream_st* stream) {
    const int lanes = job.channels / 8;
    if (lanes <= 1) return launch_backward<1>(job, stream);
    if (lanes <= 2) return launch_backward<2>(job, stream);
    if (lanes <= 4) return launch_backward<4>(job, stream);
    if (lanes <= 8) return launch_backward<8>(job, stream);
    if (lanes <= 16) return launch_backward<16>(job, stream);
    launch_backward<32>(job, stream);
}

} // namespace wander::train::cuda
