#pragma once
// Fully connected layer y = x W^T + b whose weight is kept in the form its device reads fastest: packed for our own
// kernels where this CPU has them (gemm_cpu.hpp), else as it is for the library.
//
// Immutable after construction, may be used by several threads. Compute types float, bfloat16 and double; inputs are
// [n, in] whose rows may lie apart. W follows the checkpoints: [out, in].
//
// E4M3 weights (an NVIDIA GPU of compute capability 8.9 or newer, compute type bfloat16, in and out multiples of 16):
// each output channel has a factor, each row of the input one of its own; products are summed by the tensor cores.
// e4m3_emulated: the same roundings of weights and inputs, multiplied in float32, on any device; for measuring what
// they cost. (Tensor cores may add up with fewer bits.)

#include "generator/nn/rows.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

namespace wander::nn {

enum class WeightType { compute, e4m3, e4m3_emulated };

class Linear {
public:
    Linear() = default;
    // bias may be undefined.
    Linear(const at::Tensor& weight, const at::Tensor& bias, at::Device device, at::ScalarType compute,
           WeightType type = WeightType::compute);

    bool defined() const { return out_ > 0; }
    std::int64_t in() const { return in_; }
    std::int64_t out() const { return out_; }

    // The type of input that needs no conversion.
    at::ScalarType input_type() const {
        return column_scale_.defined() ? at::kFloat8_e4m3fn : emulated_ ? at::kFloat : compute_;
    }

    // [n, in] -> [n, out], compute type.
    at::Tensor operator()(const at::Tensor& x) const;
    at::Tensor operator()(const Activation& x) const;
    // GELU (tanh form) of the product, as layer `next` takes it.
    Activation with_gelu(const Activation& x, const Linear& next) const;
    // For the residual stream: as to_stream, or with factors that are left to who adds it.
    Addend addend(const Activation& x) const;
    // For the residual stream: float32 sums where the kernel gives them for free, else the compute type.
    at::Tensor to_stream(const at::Tensor& x) const;

private:
    struct Packed;
    void run(const at::Tensor& x, at::Tensor& y) const;
    at::Tensor emulated(const at::Tensor& x) const; // float32

    std::int64_t in_ = 0;
    std::int64_t out_ = 0;
    at::ScalarType compute_ = at::kFloat;
    bool emulated_ = false; // then weight_ and bias_ are float32
    at::Tensor weight_;     // undefined when packed
    at::Tensor bias_;
    at::Tensor column_scale_, wide_bias_; // E4M3: [1, out], [out] float32
    std::shared_ptr<const Packed> packed_;
};

} // namespace wander::nn
