#include "generator/nn/cuda/row_parts.cuh"
#include "generator/nn/cuda/rows.hpp"

namespace wander::nn::cuda {
namespace {

constexpr int kWarps = 4; // rows a block works on

// Lane l of a row's warp holds the eights l, l + 32, ...; kEights * 256 >= dim.
template <int kEights>
struct Row {
    float x[kEights][8] = {};

    template <class Work>
    __device__ void each(int dim, Work&& work) {
        const int lane = static_cast<int>(threadIdx.x % 32);
#pragma unroll
        for (int e = 0; e < kEights; ++e) {
            const int channel = (e * 32 + lane) * 8;
            if (channel < dim) work(channel, x[e]);
        }
    }
};

constexpr int kMaxThreads = kMaxRowDim / 8;

// Sum or largest value over the threads of a block. `shared` holds a value for each warp.
template <class Combine>
__device__ float over_block(float value, float* shared, Combine&& combine) {
    for (int step = 16; step > 0; step /= 2) value = combine(value, __shfl_xor_sync(0xffffffffU, value, step));
    if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = value;
    __syncthreads();
    value = shared[0];
    for (unsigned warp = 1; warp * 32 < blockDim.x; ++warp) value = combine(value, shared[warp]);
    __syncthreads(); // before the next use of shared
    return value;
}

// One block a row, one thread eight values: many rows are under way on a multiprocessor. Threads beyond the row (the
// block is whole warps) only take part in the sums.
template <class Y, class Out>
__global__ void __launch_bounds__(kMaxThreads) norm_rows(NormJob job) {
    __shared__ float shared[kMaxThreads / 32];
    const std::int64_t index = blockIdx.x;
    const int channel = static_cast<int>(threadIdx.x) * 8;
    const bool inside = channel < job.dim;
    const auto add = [](float a, float b) { return a + b; };
    float value[8] = {};
    if (inside) {
        float* x = job.x + index * job.dim + channel;
        load(x, value);
        if (job.y) {
            float added[8];
            load(static_cast<const Y*>(job.y) + index * job.dim + channel, added);
            if (job.y_column_scale) {
                const float row_scale = job.y_row_scale[index];
                float column[8], bias[8];
                load(job.y_column_scale + channel, column);
                load(job.y_bias + channel, bias);
                for (int i = 0; i < 8; ++i) added[i] = fmaf(added[i] * row_scale, column[i], bias[i]);
            }
            float gate[8] = {1, 1, 1, 1, 1, 1, 1, 1};
            if (job.gate) load(job.gate + index / job.gate_rows * job.dim + channel, gate);
            for (int i = 0; i < 8; ++i) value[i] = fmaf(gate[i], added[i], value[i]);
            store(x, value);
        }
    }
    if (!job.scale) return;
    float sum = 0.0F;
    for (int i = 0; i < 8; ++i) sum += value[i];
    const float mean = over_block(sum, shared, add) / static_cast<float>(job.dim);
    float squares = 0.0F;
    for (int i = 0; i < 8; ++i) {
        value[i] -= mean;
        if (inside) squares = fmaf(value[i], value[i], squares);
    }
    const float factor = rsqrtf(over_block(squares, shared, add) / static_cast<float>(job.dim) + job.eps);
    float largest = 0.0F;
    if (inside) {
        const std::int64_t group = index / job.norm_rows * job.dim + channel;
        float scale[8], shift[8];
        load(job.scale + group, scale);
        load(job.shift + group, shift);
        for (int i = 0; i < 8; ++i) {
            value[i] = fmaf(value[i] * factor, scale[i], shift[i]);
            largest = fmaxf(largest, fabsf(value[i]));
        }
    }
    if constexpr (sizeof(Out) == 1) {
        largest = over_block(largest, shared, [](float a, float b) { return fmaxf(a, b); });
        const float unit = fmaxf(largest, 1e-12F) / kLargestE4m3;
        for (int i = 0; i < 8; ++i) value[i] /= unit;
        if (threadIdx.x == 0) job.out_scale[index] = unit;
    }
    if (inside) store(static_cast<Out*>(job.out) + index * job.dim + channel, value);
}

template <int kEights>
__global__ void __launch_bounds__(kWarps * 32) rms_rows(RmsJob job) {
    const std::int64_t index = static_cast<std::int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
    if (index >= job.rows) return;
    const bool second = blockIdx.y > 0;
    const auto* x = static_cast<const __nv_bfloat16*>(second ? job.x[1] : job.x[0]) + index * job.x_stride;
    auto* out = static_cast<__nv_bfloat16*>(second ? job.out[1] : job.out[0]) + index * job.out_stride;
    const float* weights = second ? job.weight[1] : job.weight[0];
    Row<kEights> row;
    float squares = 0.0F;
    row.each(job.dim, [&](int channel, float (&value)[8]) { load(x + channel, value); });
    row.each(job.dim, [&](int, float (&value)[8]) {
        for (int i = 0; i < 8; ++i) squares = fmaf(value[i], value[i], squares);
    });
    const float factor = rsqrtf(warp_sum(squares) / static_cast<float>(job.dim) + job.eps);
    row.each(job.dim, [&](int channel, float (&value)[8]) {
        float weight[8];
        load(weights + channel, weight);
        for (int i = 0; i < 8; ++i) value[i] = value[i] * factor * weight[i];
        store(out + channel, value);
    });
}

template <int kEights>
__global__ void __launch_bounds__(kWarps * 32) rms_factors(RmsFactorJob job) {
    const std::int64_t index = static_cast<std::int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
    if (index >= job.rows) return;
    const auto* x = static_cast<const __nv_bfloat16*>(job.x) + index * job.x_stride;
    Row<kEights> row;
    float squares = 0.0F;
    row.each(job.dim, [&](int channel, float (&value)[8]) { load(x + channel, value); });
    row.each(job.dim, [&](int, float (&value)[8]) {
        for (int i = 0; i < 8; ++i) squares = fmaf(value[i], value[i], squares);
    });
    squares = warp_sum(squares);
    if (threadIdx.x % 32 == 0) job.factors[index] = rsqrtf(squares / static_cast<float>(job.dim) + job.eps);
}

unsigned blocks(std::int64_t rows) { return static_cast<unsigned>((rows + kWarps - 1) / kWarps); }

// kEights for a row of `dim` values, from the few that are compiled.
template <class Work>
void with_eights(int dim, Work&& work) {
    if (dim <= 512) return work.template operator()<2>();
    if (dim <= 1536) return work.template operator()<6>();
    return work.template operator()<kMaxRowDim / 256>();
}

template <class Y, class Out>
void launch(const NormJob& job, Stream stream) {
    const int threads = (job.dim / 8 + 31) / 32 * 32;
    norm_rows<Y, Out><<<static_cast<unsigned>(job.rows), threads, 0, stream>>>(job);
}

template <class Y>
void launch(const NormJob& job, Stream stream) {
    switch (job.out_element) {
        case Element::float32: return launch<Y, float>(job, stream);
        case Element::bfloat16: return launch<Y, __nv_bfloat16>(job, stream);
        case Element::e4m3: return launch<Y, __nv_fp8_e4m3>(job, stream);
    }
}

} // namespace

void launch_norm(const NormJob& job, Stream stream) {
    if (job.y_element == Element::float32) {
        launch<float>(job, stream);
    } else {
        launch<__nv_bfloat16>(job, stream);
    }
}

void launch_rms(const RmsJob& job, Stream stream) {
    with_eights(job.dim, [&]<int kEights>() {
        const dim3 grid(blocks(job.rows), static_cast<unsigned>(job.tensors));
        rms_rows<kEights><<<grid, kWarps * 32, 0, stream>>>(job);
    });
}

void launch_rms_factors(const RmsFactorJob& job, Stream stream) {
    with_eights(job.dim,
                [&]<int kEights>() { rms_factors<kEights><<<blocks(job.rows), kWarps * 32, 0, stream>>>(job); });
}

} // namespace wander::nn::cuda
