#include "generator/nn/linear.hpp"

#include "generator/nn/plain/gemm_cpu.hpp"

#include <ATen/ATen.h>

namespace wander::nn {

struct Linear::Packed {
    cpu::GemmKernel kernel = cpu::GemmKernel::none;
    std::vector<float> floats;
    std::vector<std::uint16_t> halves;
    std::vector<float> bias;

    const void* weight() const {
        return kernel == cpu::GemmKernel::float_avx512 ? static_cast<const void*>(floats.data()) : halves.data();
    }
};

Linear::Linear(const at::Tensor& weight, const at::Tensor& bias, at::Device device, at::ScalarType compute,
               WeightType type)
    : in_(weight.size(1)), out_(weight.size(0)), compute_(compute) {
    if (type == WeightType::e4m3) {
        TORCH_CHECK(device.is_cuda() && compute == at::kBFloat16 && in_ % 16 == 0 && out_ % 16 == 0,
                    "Linear: E4M3 weights need a GPU, bfloat16 and sizes that 16 divides");
        const Activation rows = plain::quantise_rows(weight.to(device), false);
        weight_ = rows.values;
        column_scale_ = rows.scale.view({1, out_});
        bias_ = bias.defined() ? bias.to(device, compute).contiguous()
                               : at::zeros({out_}, at::TensorOptions().device(device).dtype(compute));
        wide_bias_ = bias_.to(at::kFloat);
        return;
    }
    if (type == WeightType::e4m3_emulated) {
        emulated_ = true;
        weight_ = plain::dequantised(plain::quantise_rows(weight.to(device), false));
        if (bias.defined()) bias_ = bias.to(device, compute).to(at::kFloat);
        return;
    }
    const at::Tensor dense = weight.to(device, compute).contiguous();
    auto packed = std::make_shared<Packed>();
    if (device.is_cpu() && compute == at::kFloat) packed->kernel = cpu::float_gemm();
    if (device.is_cpu() && compute == at::kBFloat16 && in_ % 2 == 0) packed->kernel = cpu::bf16_gemm();
    if (packed->kernel == cpu::GemmKernel::none) {
        weight_ = dense;
        if (bias.defined()) bias_ = bias.to(device, compute).contiguous();
        return;
    }
    if (compute == at::kFloat) {
        packed->floats = cpu::pack_weight(dense.const_data_ptr<float>(), out_, in_);
    } else {
        packed->halves = cpu::pack_weight(static_cast<const std::uint16_t*>(dense.const_data_ptr()), out_, in_);
    }
    if (bias.defined()) {
        const at::Tensor wide = bias.to(at::kCPU, at::kFloat).contiguous();
        packed->bias.assign(wide.const_data_ptr<float>(), wide.const_data_ptr<float>() + out_);
    }
    packed_ = std::move(packed);
}

void Linear::run(const at::Tensor& x, at::Tensor& y) const {
    TORCH_CHECK(x.dim() == 2 && x.size(1) == in_ && x.is_cpu(), "Linear: input must be [n, ", in_, "] on the CPU");
    const auto type = packed_->kernel == cpu::GemmKernel::float_avx512 ? at::kFloat : at::kBFloat16;
    const at::Tensor rows = x.scalar_type() == type && x.stride(1) == 1 ? x : x.to(type).contiguous();
    cpu::Gemm task;
    task.rows = rows.size(0);
    task.in = in_;
    task.out = out_;
    task.x = rows.const_data_ptr();
    task.x_stride = rows.stride(0);
    task.packed = packed_->weight();
    task.bias = packed_->bias.empty() ? nullptr : packed_->bias.data();
    task.y = y.mutable_data_ptr();
    task.y_stride = y.stride(0);
    task.narrow = y.scalar_type() == at::kBFloat16;
    cpu::run_gemm(packed_->kernel, task);
}

at::Tensor Linear::emulated(const at::Tensor& x) const {
    return at::linear(plain::dequantised(plain::quantise_rows(x, false)), weight_, bias_);
}

at::Tensor Linear::operator()(const at::Tensor& x) const {
    if (emulated_) return emulated(x).to(compute_);
    if (column_scale_.defined()) return (*this)(quantise_rows(x, false));
    if (!packed_) return at::linear(x, weight_, bias_);
    const auto type = packed_->kernel == cpu::GemmKernel::float_avx512 ? at::kFloat : at::kBFloat16;
    at::Tensor y = at::empty({x.size(0), out_}, type);
    run(x, y);
    return y;
}

at::Tensor Linear::operator()(const Activation& x) const {
    if (!column_scale_.defined() || !x.scale.defined()) return (*this)(x.values);
    return at::_scaled_mm(x.values, weight_.t(), x.scale, column_scale_, bias_, std::nullopt, compute_, true);
}

Activation Linear::with_gelu(const Activation& x, const Linear& next) const {
    if (next.input_type() == at::kFloat8_e4m3fn) return quantise_rows((*this)(x), true);
    if (next.emulated_) return {at::gelu((*this)(x).to(at::kFloat), "tanh"), {}};
    // cuBLASLt does it behind the product, in float32.
    if (!column_scale_.defined() && !emulated_ && bias_.defined() && x.values.is_cuda() && compute_ == at::kBFloat16) {
        return {at::_addmm_activation(bias_, x.values, weight_.t(), 1, 1, true), {}};
    }
    at::Tensor y = (*this)(x);
    nn::gelu_(y);
    return {y, {}};
}

// E4M3: one factor for the whole product is what the library multiplies fastest (docs/performance.md), and who adds the
// rows to the stream reads them anyway.
Addend Linear::addend(const Activation& x) const {
    if (!column_scale_.defined()) return to_stream(x.values);
    const Activation rows = x.scale.defined() ? x : quantise_rows(x.values, false);
    const at::Tensor one = at::ones({}, column_scale_.options());
    Addend product(at::_scaled_mm(rows.values, weight_.t(), one, one, std::nullopt, std::nullopt, compute_, true));
    product.row_scale = rows.scale;
    product.column_scale = column_scale_;
    product.bias = wide_bias_;
    return product;
}

at::Tensor Linear::to_stream(const at::Tensor& x) const {
    if (emulated_) return emulated(x);
    if (column_scale_.defined()) return (*this)(x);
    if (!packed_) return at::linear(x, weight_, bias_);
    at::Tensor y = at::empty({x.size(0), out_}, at::kFloat);
    run(x, y);
    return y;
}

} // namespace wander::nn
