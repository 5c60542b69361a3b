#include "quant/cuda/expand.hpp"
#include "quant/cuda/rows.cuh"

namespace wander::quant::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kBlocks = 264; // two for each multiprocessor of a large GPU

// blockIdx.y: the tensor. The magnitudes are not negative, so their bits order as integers and the largest does not
// depend on the order of the atomics.
template <class T>
__global__ void __launch_bounds__(kThreads) largest_values(ScaleJob job) {
    const T* values = static_cast<const T*>(job.tensors[blockIdx.y]);
    float largest = 0.0F;
    for (long long i = (static_cast<long long>(blockIdx.x) * kThreads + threadIdx.x) * 8; i + 8 <= job.count;
         i += static_cast<long long>(gridDim.x) * kThreads * 8) {
        const Eight eight = load_eight(values + i);
        for (int c = 0; c < 8; ++c) {
            largest = fmaxf(largest, fabsf(eight.x[c]));
        }
    }
    for (int step = 16; step > 0; step /= 2) {
        largest = fmaxf(largest, __shfl_xor_sync(0xffffffffU, largest, step));
    }
    if (threadIdx.x % 32 == 0) {
        atomicMax(reinterpret_cast<int*>(job.descale) + blockIdx.y, __float_as_int(largest));
    }
}

__global__ void factors(ScaleJob job) {
    const int i = static_cast<int>(threadIdx.x);
    const float largest = fmaxf(job.descale[i], 1e-12F);
    const float scale = (i == 0 ? 448.0F : 224.0F) / largest;
    job.inverse_scale[i] = scale;
    job.descale[i] = 1.0F / scale;
}

} // namespace

void launch_scales(const ScaleJob& job, Stream stream) {
    cudaMemsetAsync(job.descale, 0, 3 * sizeof(float), stream);
    if (job.element == Element::float32) {
        largest_values<float><<<dim3(kBlocks, 3), kThreads, 0, stream>>>(job);
    } else {
        largest_values<__nv_bfloat16><<<dim3(kBlocks, 3), kThreads, 0, stream>>>(job);
    }
    factors<<<1, 3, 0, stream>>>(job);
}

} // namespace wander::quant::cuda
