#include "generator/train/picture_norm.hpp"

#include <ATen/ATen.h>

#if WANDER_CUDA
#include "generator/train/cuda/picture_norm.hpp"

#include <c10/cuda/CUDAStream.h>
#include <torch/csrc/autograd/custom_function.h>
#endif

namespace wander::train {

namespace plain {

at::Tensor norm_silu_rows(const at::Tensor& x, const at::Tensor& gamma, double eps) {
    return at::silu(at::rms_norm(x, {x.size(-1)}, gamma.to(x.scalar_type()), eps));
}

} // namespace plain

#if WANDER_CUDA
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct FusedNormSilu : torch::autograd::Function<FusedNormSilu> {
    static cuda::PictureNormJob job_for(const at::Tensor& x, const at::Tensor& gamma, double eps) {
        cuda::PictureNormJob job;
        job.channels = static_cast<int>(x.size(-1));
        job.rows = x.numel() / job.channels;
        job.eps = static_cast<float>(eps);
        job.x = x.const_data_ptr();
        job.gamma = gamma.const_data_ptr<float>();
        return job;
    }

    static at::Tensor forward(AutogradContext* context, const at::Tensor& x_given, const at::Tensor& gamma_given,
                              double eps) {
        const at::Tensor x = x_given.contiguous(), gamma = gamma_given.contiguous();
        at::Tensor y = at::empty_like(x);
        cuda::PictureNormJob job = job_for(x, gamma, eps);
        job.y = y.mutable_data_ptr();
        cuda::launch_picture_norm_forward(job, c10::cuda::getCurrentCUDAStream(x.get_device()).stream());
        context->save_for_backward({x, gamma});
        context->saved_data["eps"] = eps;
        return y;
    }

    static variable_list backward(AutogradContext* context, const variable_list& gradients) {
        const variable_list saved = context->get_saved_variables();
        const at::Tensor &x = saved[0], &gamma = saved[1];
        const at::Tensor dy = gradients[0].to(at::kBFloat16).contiguous();
        at::Tensor dx = at::empty_like(x);
        at::Tensor dgamma = at::empty({cuda::kPictureNormParts, x.size(-1)}, gamma.options());
        cuda::PictureNormJob job = job_for(x, gamma, context->saved_data["eps"].toDouble());
        job.dy = dy.const_data_ptr();
        job.dx = dx.mutable_data_ptr();
        job.dgamma = dgamma.mutable_data_ptr<float>();
        cuda::launch_picture_norm_backward(job, c10::cuda::getCurrentCUDAStream(x.get_device()).stream());
        return {dx, dgamma.sum(0), at::Tensor()};
    }
};

} // namespace
#endif

at::Tensor norm_silu_rows(const at::Tensor& x, const at::Tensor& gamma, double eps) {
#if WANDER_CUDA
    if (x.is_cuda() && x.scalar_type() == at::kBFloat16 && cuda::picture_norm_takes(x.size(-1)))
        return FusedNormSilu::apply(x, gamma.to(at::kFloat), eps);
#endif
    return plain::norm_silu_rows(x, gamma, eps);
}

} // namespace wander::train
