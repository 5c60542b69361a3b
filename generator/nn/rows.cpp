#include "generator/nn/rows.hpp"
#include "generator/nn/plain/rows_cpu.hpp"

#include <ATen/ATen.h>

#if WANDER_CUDA
#include "generator/nn/cuda/rows.hpp"

#include <c10/cuda/CUDAStream.h>
#endif

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

at::Tensor widen(const Addend& y) {
    const at::Tensor values = y.values.to(at::kFloat);
    return y.row_scale.defined() ? values * y.row_scale * y.column_scale + y.bias : values;
}

Activation quantise_rows(const at::Tensor& x, bool gelu) {
    const at::Tensor wide = gelu ? at::gelu(x.to(at::kFloat), "tanh") : x.to(at::kFloat);
    const at::Tensor scale = wide.abs().amax({1}, true).clamp_min(1e-12) / 448.0;
    return {(wide / scale).clamp(-448, 448).to(at::kFloat8_e4m3fn), scale};
}

at::Tensor dequantised(const Activation& x) { return x.values.to(at::kFloat) * x.scale; }

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

#if WANDER_CUDA
cuda::Stream stream_of(const at::Tensor& x) { return c10::cuda::getCurrentCUDAStream(x.get_device()).stream(); }

bool kernels_take(std::int64_t dim) { return dim % 8 == 0 && dim <= cuda::kMaxRowDim; }

bool is_float_rows(const at::Tensor& x) { return x.scalar_type() == at::kFloat && x.is_contiguous(); }

Activation new_activation(const at::Tensor& like, at::ScalarType type) {
    Activation out{at::empty(like.sizes(), like.options().dtype(type)), {}};
    if (type == at::kFloat8_e4m3fn) out.scale = at::empty({like.size(0), 1}, like.options().dtype(at::kFloat));
    return out;
}

cuda::Element element_of(const at::Tensor& x) {
    if (x.scalar_type() == at::kFloat8_e4m3fn) return cuda::Element::e4m3;
    return x.scalar_type() == at::kFloat ? cuda::Element::float32 : cuda::Element::bfloat16;
}

// The kernel's way of add_gated_norm; y and scale may be undefined. False when it has no such kernel.
bool norm_on_gpu(at::Tensor& x, const Addend& added, const at::Tensor& gate, const at::Tensor& shift,
                 const at::Tensor& scale, double eps, Activation& out) {
    const at::Tensor& y = added.values;
    if (!x.is_cuda() || !is_float_rows(x) || !kernels_take(x.size(1))) return false;
    if (y.defined() && !(is_small(y.scalar_type()) && y.is_contiguous())) return false;
    if (gate.defined() && !is_float_rows(gate)) return false;
    const bool narrow = out.scale.defined();
    if (scale.defined() &&
        !((narrow || is_small(out.values.scalar_type())) && is_float_rows(scale) && is_float_rows(shift)))
        return false;
    cuda::NormJob job;
    job.rows = x.size(0);
    job.dim = static_cast<int>(x.size(1));
    job.x = data<float>(x);
    job.eps = static_cast<float>(eps);
    if (y.defined()) {
        job.y = y.const_data_ptr();
        job.y_element = element_of(y);
        if (added.row_scale.defined()) {
            job.y_row_scale = data<float>(added.row_scale);
            job.y_column_scale = data<float>(added.column_scale);
            job.y_bias = data<float>(added.bias);
        }
    }
    if (gate.defined()) {
        job.gate = data<float>(gate);
        job.gate_rows = x.size(0) / gate.size(0);
    }
    if (scale.defined()) {
        job.scale = data<float>(scale);
        job.shift = data<float>(shift);
        job.norm_rows = x.size(0) / scale.size(0);
        job.out = out.values.mutable_data_ptr();
        job.out_element = element_of(out.values);
        if (narrow) job.out_scale = data<float>(out.scale);
    }
    cuda::launch_norm(job, stream_of(x));
    return true;
}

bool rms_on_gpu(const std::vector<at::Tensor>& x, const std::vector<at::Tensor>& weights, double eps,
                std::vector<at::Tensor>& out) {
    cuda::RmsJob job;
    job.rows = x[0].size(0);
    job.dim = static_cast<int>(x[0].size(1));
    job.tensors = static_cast<int>(x.size());
    job.x_stride = x[0].stride(0);
    job.out_stride = out[0].stride(0);
    job.eps = static_cast<float>(eps);
    for (std::size_t i = 0; i < x.size(); ++i) {
        const bool fits = x[i].is_cuda() && x[i].scalar_type() == at::kBFloat16 && x[i].stride(1) == 1 &&
                          x[i].stride(0) == job.x_stride && job.x_stride % 8 == 0 && x[i].sizes() == x[0].sizes() &&
                          weights[i].scalar_type() == at::kFloat;
        if (!fits || !kernels_take(job.dim)) return false;
        job.x[i] = x[i].const_data_ptr();
        job.weight[i] = data<float>(weights[i]);
        job.out[i] = out[i].mutable_data_ptr();
    }
    cuda::launch_rms(job, stream_of(x[0]));
    return true;
}
#endif

} // namespace

at::Tensor modulated_norm(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale, double eps,
                          at::ScalarType out) {
#if WANDER_CUDA
    if (x.is_cuda()) {
        at::Tensor rows = x;
        Activation normed = new_activation(x, out);
        if (norm_on_gpu(rows, at::Tensor(), {}, shift, scale, eps, normed)) return normed.values;
    }
#endif
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
#if WANDER_CUDA
    if (x.is_cuda()) {
        // torch's kernel: one launch in place of seven, and a short text's encoder is bound by launches.
        if (x.scalar_type() == at::kFloat && weight.scalar_type() == at::kFloat && x.is_contiguous())
            return at::rms_norm(x, {x.size(1)}, weight, eps);
        std::vector<at::Tensor> out = {at::empty(x.sizes(), x.options())};
        if (rms_on_gpu({x}, {weight}, eps, out)) return out[0];
    }
#endif
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

TwoRows rms_norm_both(const TwoRows& x, const at::Tensor& first_weight, const at::Tensor& second_weight, double eps) {
#if WANDER_CUDA
    std::vector<at::Tensor> out = {x.first, x.second};
    if (rms_on_gpu(out, {first_weight, second_weight}, eps, out)) return x;
#endif
    return {rms_norm(x.first, first_weight, eps), rms_norm(x.second, second_weight, eps)};
}

Activation add_gated_norm(at::Tensor& x, const Addend& y, const at::Tensor& gate, const at::Tensor& shift,
                          const at::Tensor& scale, double eps, at::ScalarType out) {
#if WANDER_CUDA
    if (x.is_cuda()) {
        Activation normed = new_activation(x, out);
        if (norm_on_gpu(x, y, gate, shift, scale, eps, normed)) return normed;
    }
#endif
    if (y.values.defined()) {
        const at::Tensor plain = y.row_scale.defined() ? plain::widen(y) : y.values;
        if (gate.defined()) {
            add_gated(x, plain, gate);
        } else {
            x.add_(plain);
        }
    }
    if (out == at::kFloat8_e4m3fn) {
        return plain::quantise_rows(modulated_norm(x, shift, scale, eps, at::kFloat), false);
    }
    return {modulated_norm(x, shift, scale, eps, out), {}};
}

Activation quantise_rows(const at::Tensor& x, bool gelu) {
#if WANDER_CUDA
    if (x.is_cuda() && x.scalar_type() == at::kBFloat16 && x.stride(1) == 1 && x.size(1) % 8 == 0 &&
        x.size(1) <= cuda::kMaxQuantiseDim && x.stride(0) % 8 == 0) {
        Activation out = new_activation(x, at::kFloat8_e4m3fn);
        cuda::QuantiseJob job;
        job.rows = x.size(0);
        job.dim = static_cast<int>(x.size(1));
        job.x = x.const_data_ptr();
        job.x_stride = x.stride(0);
        job.gelu = gelu;
        job.out = out.values.mutable_data_ptr();
        job.out_scale = data<float>(out.scale);
        cuda::launch_quantise(job, stream_of(x));
        return out;
    }
#endif
    return plain::quantise_rows(x, gelu);
}

void add_gated(at::Tensor& x, const at::Tensor& y, const at::Tensor& gate) {
#if WANDER_CUDA
    Activation none;
    if (norm_on_gpu(x, y, gate, {}, {}, 0.0, none)) return;
#endif
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
