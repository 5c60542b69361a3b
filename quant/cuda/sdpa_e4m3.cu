#include "quant/cuda/rows.cuh"
#include "quant/cuda/sdpa_e4m3.hpp"

#include <cuda_fp8.h>

namespace wander::quant::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void fill_factors(const float* descale_v, E4m3Factors* factors) {
    factors->descale_probability = 1.0F / 256.0F;
    factors->scale_probability = 256.0F;
    factors->scale_output = 1.0F / *descale_v;
}

// One thread: eight values.
template <class T>
__global__ void __launch_bounds__(kThreads)
    widen(const uint2* source, const float* descale, long long groups, T* __restrict__ out) {
    const long long index = static_cast<long long>(blockIdx.x) * kThreads + threadIdx.x;
    if (index >= groups) {
        return;
    }
    const float factor = *descale;
    const uint2 bits = source[index];
    const auto* stored = reinterpret_cast<const __nv_fp8_e4m3*>(&bits);
    Eight value;
    for (int i = 0; i < 8; ++i) {
        value.x[i] = static_cast<float>(stored[i]) * factor;
    }
    store_eight(out + index * 8, value);
}

} // namespace

void launch_e4m3_factors(const float* descale_v, E4m3Factors* factors, Stream stream) {
    fill_factors<<<1, 1, 0, stream>>>(descale_v, factors);
}

void launch_widen_e4m3(const void* source, const float* descale, std::int64_t count, Element element, void* out,
                       Stream stream) {
    const long long groups = count / 8;
    const auto blocks = static_cast<unsigned>((groups + kThreads - 1) / kThreads);
    const auto* from = static_cast<const uint2*>(source);
    if (element == Element::float32) {
        widen<<<blocks, kThreads, 0, stream>>>(from, descale, groups, static_cast<float*>(out));
    } else {
        widen<<<blocks, kThreads, 0, stream>>>(from, descale, groups, static_cast<__nv_bfloat16*>(out));
    }
}

} // namespace wander::quant::cuda
