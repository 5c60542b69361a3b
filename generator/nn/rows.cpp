#include "generator/nn/rows.hpp"
#include "generator/nn/plain/rows_cpu.hpp"

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

void gelu_(at::Tensor& x) { at::gelu_(x, "tanh"); }

} // namespace plain

namespace {

bool is_small(at::ScalarType type) { return type == at::kFloat || type == at::kBFloat16; }

template <class T>
T* data(at::Tensor& x) {
    return static_cast<T*>(x.mutable_data_ptr());
}
template <class T>
const T* data(const at::Tensor& x) {
    return static_cast<const T*>(x.const_data_ptr());
}

} // namespace

at::Tensor modulated_norm(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale, double eps,
                          at::ScalarType out) {
    const bool dense = x.is_contiguous() && shift.is_contiguous() && scale.is_contiguous();
    if (!x.is_cpu() || x.scalar_type() != at::kFloat || !is_small(out) || !dense) {
        return plain::modulated_norm(x, shift, scale, eps, out);
    }
    at::Tensor result = at::empty(x.sizes(), x.options().dtype(out));
    const cpu::NormRows task{
        data<float>(x),         x.size(0), x.size(1), x.size(0) / scale.size(0), data<float>(shift), data<float>(scale),
        static_cast<float>(eps)};
    if (out == at::kFloat)
        cpu::modulated_norm(task, data<float>(result));
    else
        cpu::modulated_norm(task, data<cpu::Bf16Bits>(result));
    return result;
}

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
    if (!x.is_cpu() || !is_small(x.scalar_type()) || weight.scalar_type() != at::kFloat || x.stride(1) != 1) {
        return plain::rms_norm(x, weight, eps);
    }
    at::Tensor result = at::empty(x.sizes(), x.options());
    const cpu::RmsRows task{x.size(0), x.size(1), x.stride(0), data<float>(weight), static_cast<float>(eps)};
    if (x.scalar_type() == at::kFloat)
        cpu::rms_norm(task, data<float>(x), data<float>(result));
    else
        cpu::rms_norm(task, data<cpu::Bf16Bits>(x), data<cpu::Bf16Bits>(result));
    return result;
}

void add_gated(at::Tensor& x, const at::Tensor& y, const at::Tensor& gate) {
    const bool dense = x.is_contiguous() && y.is_contiguous() && gate.is_contiguous();
    if (!x.is_cpu() || x.scalar_type() != at::kFloat || !is_small(y.scalar_type()) || !dense)
        return plain::add_gated(x, y, gate);
    const cpu::GatedRows task{x.size(0), x.size(1), x.size(0) / gate.size(0), data<float>(gate)};
    if (y.scalar_type() == at::kFloat)
        cpu::add_gated(task, data<float>(x), data<float>(y));
    else
        cpu::add_gated(task, data<float>(x), data<cpu::Bf16Bits>(y));
}

void gelu_(at::Tensor& x) {
    if (!x.is_cpu() || !is_small(x.scalar_type()) || !x.is_contiguous()) return plain::gelu_(x);
    if (x.scalar_type() == at::kFloat)
        cpu::gelu(data<float>(x), x.numel());
    else
        cpu::gelu(data<cpu::Bf16Bits>(x), x.numel());
}

} // namespace wander::nn
