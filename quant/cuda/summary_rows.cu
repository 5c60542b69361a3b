// Twin: summarise() in quant/formats/soft4_format.cpp, bit for bit.
#include "quant/cuda/summary_rows.hpp"
#include "quant/qvg/page_rules.hpp"

namespace wander::quant::cuda {
namespace {

// Threads: 32 values x kMeanParts.
template <bool kBf16>
__global__ void summary_kernel(SummaryJob job) {
    __shared__ float sums[qvg::kMeanParts][32];
    const int value = static_cast<int>(blockIdx.x * 32 + threadIdx.x);
    const bool held = value < job.values;
    float sum = 0;
    for (int t = static_cast<int>(threadIdx.y); t < job.tokens && held; t += qvg::kMeanParts) {
        const long long at = static_cast<long long>(t) * job.values + value;
        float x = 0;
        if constexpr (kBf16) {
            x = __uint_as_float(static_cast<std::uint32_t>(static_cast<const std::uint16_t*>(job.rows)[at]) << 16);
        } else {
            x = static_cast<const float*>(job.rows)[at];
        }
        sum = __fadd_rn(sum, x);
    }
    sums[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y == 0 && held) {
        for (int p = 1; p < qvg::kMeanParts; ++p) {
            sum = __fadd_rn(sum, sums[p][threadIdx.x]);
        }
        const std::uint32_t bits = __float_as_uint(__fdiv_rn(sum, static_cast<float>(job.tokens)));
        job.out[value] = static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
    }
}

} // namespace

cudaError_t summarise_rows(const SummaryJob& job, cudaStream_t stream) {
    const dim3 blocks(static_cast<unsigned>((job.values + 31) / 32));
    const dim3 threads(32, qvg::kMeanParts);
    if (job.bf16) {
        summary_kernel<true><<<blocks, threads, 0, stream>>>(job);
    } else {
        summary_kernel<false><<<blocks, threads, 0, stream>>>(job);
    }
    return cudaGetLastError();
}

} // namespace wander::quant::cuda
