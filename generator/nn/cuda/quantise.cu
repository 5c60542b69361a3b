#include "generator/nn/cuda/row_parts.cuh"
#include "generator/nn/cuda/rows.hpp"

namespace wander::nn::cuda {
namespace {

constexpr int kThreads = 256;

__device__ float gelu_tanh(float x) {
    const float inner = 0.7978845608F * fmaf(0.044715F * x * x, x, x); // sqrt(2 / pi)
    return x / (1.0F + __expf(-2.0F * inner));
}

// One block a row, kEights * 8 * kThreads >= dim.
template <int kEights>
__global__ void __launch_bounds__(kThreads) quantise_rows(QuantiseJob job) {
    const std::int64_t index = blockIdx.x;
    const auto* x = static_cast<const __nv_bfloat16*>(job.x) + index * job.x_stride;
    auto* out = static_cast<__nv_fp8_e4m3*>(job.out) + index * job.dim;
    const int thread = static_cast<int>(threadIdx.x);
    float value[kEights][8];
    float largest = 0.0F;
#pragma unroll
    for (int e = 0; e < kEights; ++e) {
        const int channel = (e * kThreads + thread) * 8;
        if (channel < job.dim) load(x + channel, value[e]);
    }
#pragma unroll
    for (int e = 0; e < kEights; ++e) {
        if ((e * kThreads + thread) * 8 < job.dim) {
            for (int i = 0; i < 8; ++i) {
                if (job.gelu) value[e][i] = gelu_tanh(value[e][i]);
                largest = fmaxf(largest, fabsf(value[e][i]));
            }
        }
    }
    __shared__ float of_warp[kThreads / 32];
    largest = warp_max(largest);
    if (thread % 32 == 0) of_warp[thread / 32] = largest;
    __syncthreads();
    for (int w = 0; w < kThreads / 32; ++w) largest = fmaxf(largest, of_warp[w]);
    const float unit = fmaxf(largest, 1e-12F) / kLargestE4m3;
    const float inverse = 1.0F / unit;
#pragma unroll
    for (int e = 0; e < kEights; ++e) {
        const int channel = (e * kThreads + thread) * 8;
        if (channel < job.dim) {
            for (int i = 0; i < 8; ++i) value[e][i] *= inverse;
            store(out + channel, value[e]);
        }
    }
    if (thread == 0) job.out_scale[index] = unit;
}

} // namespace

void launch_quantise(const QuantiseJob& job, Stream stream) {
    const auto blocks = static_cast<unsigned>(job.rows);
    if (job.dim <= kThreads * 8) {
        quantise_rows<1><<<blocks, kThreads, 0, stream>>>(job);
    } else if (job.dim <= 5 * kThreads * 8) {
        quantise_rows<5><<<blocks, kThreads, 0, stream>>>(job);
    } else {
        quantise_rows<kMaxQuantiseDim / (kThreads * 8)><<<blocks, kThreads, 0, stream>>>(job);
    }
}

} // namespace wander::nn::cuda
