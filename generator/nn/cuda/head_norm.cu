#include "generator/nn/cuda/head_norm.hpp"
#include "generator/nn/cuda/row_parts.cuh"

namespace wander::nn::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads) norm_heads(HeadNormJob job) {
    const int lanes = job.head_dim / 8;
    const std::int64_t index = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
    const std::int64_t row = index / (static_cast<std::int64_t>(job.heads) * lanes);
    const bool inside = row < job.rows;
    const int eight = static_cast<int>(index % (static_cast<std::int64_t>(job.heads) * lanes)); // of the row
    auto* x = static_cast<__nv_bfloat16*>(job.x) + row * job.x_stride + static_cast<std::int64_t>(eight) * 8;
    float value[8] = {};
    if (inside) load(x, value);
    float squares = 0.0F;
    for (int i = 0; i < 8; ++i) squares = fmaf(value[i], value[i], squares);
    for (int step = lanes / 2; step > 0; step /= 2) squares += __shfl_xor_sync(0xffffffffU, squares, step);
    if (!inside) return;
    const float factor = rsqrtf(squares / static_cast<float>(job.head_dim) + job.eps);
    float weight[8];
    load(job.weight + eight % lanes * 8, weight);
    for (int i = 0; i < 8; ++i) value[i] *= factor * weight[i];
    store(x, value);
}

} // namespace

void launch_head_norm(const HeadNormJob& job, Stream stream) {
    const std::int64_t threads = job.rows * job.heads * (job.head_dim / 8);
    if (threads == 0) return;
    norm_heads<<<static_cast<unsigned>((threads + kThreads - 1) / kThreads), kThreads, 0, stream>>>(job);
}

} // namespace wander::nn::cuda
