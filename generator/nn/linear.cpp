#include "generator/nn/linear.hpp"

#include <ATen/ATen.h>

namespace wander::nn {

Linear::Linear(const at::Tensor& weight, const at::Tensor& bias, at::Device device, at::ScalarType compute)
    : weight_(weight.to(device, compute).contiguous()),
      bias_(bias.defined() ? bias.to(device, compute).contiguous() : at::Tensor()) {}

at::Tensor Linear::operator()(const at::Tensor& x) const {
    return at::linear(x, weight_, bias_);
}

void Linear::add_to(at::Tensor& y, const at::Tensor& x) const {
    y.addmm_(x, weight_.t());
    if (bias_.defined()) y.add_(bias_);
}

} // namespace wander::nn
