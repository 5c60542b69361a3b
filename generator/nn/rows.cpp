#include "generator/nn/rows.hpp"

#include <ATen/ATen.h>

namespace wander::nn {
namespace plain {
namespace {

at::Tensor grouped(const at::Tensor& x, const at::Tensor& per_group) {
    return x.view({per_group.size(0), x.size(0) / per_group.size(0), x.size(1)});
}

} // namespace

at::Tensor modulated_norm(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale, double eps,
                          at::ScalarType out) {
    const at::Tensor normed = at::layer_norm(x, {x.size(1)}, {}, {}, eps);
    return at::addcmul(shift.unsqueeze(1), grouped(normed, scale), scale.unsqueeze(1)).view(x.sizes()).to(out);
}

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
    const at::Tensor wide = x.to(weight.scalar_type());
    return (wide * at::rsqrt(wide.square().mean(-1, true) + eps) * weight).to(x.scalar_type());
}

void add_gated(at::Tensor& x, const at::Tensor& y, const at::Tensor& gate) {
    grouped(x, gate).addcmul_(grouped(y.to(x.scalar_type()), gate), gate.unsqueeze(1));
}

void gelu_(at::Tensor& x) {
    at::gelu_(x, "tanh");
}

} // namespace plain

at::Tensor modulated_norm(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale, double eps,
                          at::ScalarType out) {
    return plain::modulated_norm(x, shift, scale, eps, out);
}

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
    return plain::rms_norm(x, weight, eps);
}

void add_gated(at::Tensor& x, const at::Tensor& y, const at::Tensor& gate) {
    plain::add_gated(x, y, gate);
}

void gelu_(at::Tensor& x) {
    plain::gelu_(x);
}

} // namespace wander::nn
