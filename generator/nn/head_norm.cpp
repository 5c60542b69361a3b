#include "generator/nn/head_norm.hpp"

#include <ATen/ATen.h>

#if WANDER_CUDA
#include "generator/nn/cuda/head_norm.hpp"

#include <c10/cuda/CUDAStream.h>
#endif

namespace wander::nn {
namespace plain {

at::Tensor head_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
    const std::int64_t width = weight.size(0);
    return plain::rms_norm(x.reshape({-1, width}), weight, eps).view(x.sizes());
}

} // namespace plain

namespace {

#if WANDER_CUDA
// In place.
bool norm_on_gpu(const at::Tensor& x, const at::Tensor& weight, double eps) {
    const std::int64_t width = weight.size(0);
    const bool fits = x.is_cuda() && x.scalar_type() == at::kBFloat16 && x.stride(1) == 1 && x.stride(0) % 8 == 0 &&
                      weight.scalar_type() == at::kFloat && weight.is_contiguous() && cuda::head_norm_takes(width);
    if (!fits) return false;
    cuda::HeadNormJob job;
    job.rows = x.size(0);
    job.heads = static_cast<int>(x.size(1) / width);
    job.head_dim = static_cast<int>(width);
    job.x = x.mutable_data_ptr();
    job.x_stride = x.stride(0);
    job.weight = weight.const_data_ptr<float>();
    job.eps = static_cast<float>(eps);
    cuda::launch_head_norm(job, c10::cuda::getCurrentCUDAStream(x.get_device()).stream());
    return true;
}
#endif

} // namespace

at::Tensor head_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
#if WANDER_CUDA
    if (norm_on_gpu(x, weight, eps)) return x;
#endif
    return plain::head_norm(x, weight, eps);
}

TwoRows head_norm_both(const TwoRows& x, const at::Tensor& first_weight, const at::Tensor& second_weight, double eps) {
    return {head_norm(x.first, first_weight, eps), head_norm(x.second, second_weight, eps)};
}

} // namespace wander::nn
