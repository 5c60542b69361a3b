#include "quant/cuda/expand.hpp"
#include "quant/cuda/rows.cuh"

namespace wander::quant::cuda {
namespace {

constexpr int kThreads = 192; // a row of 1,536 values
constexpr int kBlocks = 528;  // four for each multiprocessor of a large GPU

// blockIdx.y: the tensor. The magnitudes are not negative, so their bits order as integers and the largest does not
// depend on the order of the atomics.
template <class T>
__global__ void __launch_bounds__(kThreads) largest_values(ScaleJob job) {
    const T* values = static_cast<const T*>(job.tensors[blockIdx.y]);
    const long long stride = job.row_strides[blockIdx.y];
    const int eights = job.row_values / 8;
    float largest = 0.0F;
    for (long long row = blockIdx.x; row < job.rows; row += gridDim.x) {
        for (int i = static_cast<int>(threadIdx.x); i < eights; i += kThreads) {
            const Eight eight = load_eight(values + row * stride + i * 8);
            for (int c = 0; c < 8; ++c) {
                largest = fmaxf(largest, fabsf(eight.x[c]));
            }
        }
    }
    for (int step = 16; step > 0; step /= 2) {
        largest = fmaxf(largest, __shfl_xor_sync(0xffffffffU, largest, step));
    }
    if (threadIdx.x % 32 == 0) {
        atomicMax(reinterpret_cast<int*>(job.factors->descale) + blockIdx.y, __float_as_int(largest));
    }
}

__global__ void finish_factors(E4m3Factors* factors, const float* text_largest) {
    const int i = static_cast<int>(threadIdx.x);
    const float text = text_largest && i > 0 ? text_largest[i - 1] / 2.0F : 0.0F;
    const float largest = fmaxf(fmaxf(factors->descale[i], text), 1e-12F);
    const float scale = (i == 0 ? 448.0F : 224.0F) / largest;
    factors->inverse_scale[i] = scale;
    factors->descale[i] = 1.0F / scale;
    if (i == 0) {
        factors->descale_probability = 1.0F / 256.0F;
        factors->scale_probability = 256.0F;
    }
}

} // namespace

void launch_scales(const ScaleJob& job, Stream stream) {
    const unsigned tensors = job.queries_alone ? 1 : 3; // the queries are the first
    cudaMemsetAsync(job.factors->descale, 0, tensors * sizeof(float), stream);
    if (job.element == Element::float32) {
        largest_values<float><<<dim3(kBlocks, tensors), kThreads, 0, stream>>>(job);
    } else {
        largest_values<__nv_bfloat16><<<dim3(kBlocks, tensors), kThreads, 0, stream>>>(job);
    }
    finish_factors<<<1, tensors, 0, stream>>>(job.factors, job.text_largest);
}

} // namespace wander::quant::cuda
