#pragma once
// Fully connected layer y = x W^T + b whose weight is kept in the form its device reads fastest: packed for our own
// kernels where this CPU has them (gemm_cpu.hpp), else as it is for the library.
//
// Immutable after construction, may be used by several threads. Compute types float, bfloat16 and double; inputs are
// [n, in] whose rows may lie apart. W follows the checkpoints: [out, in].

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

namespace wander::nn {

class Linear {
public:
    Linear() = default;
    // bias may be undefined.
    Linear(const at::Tensor& weight, const at::Tensor& bias, at::Device device, at::ScalarType compute);

    bool defined() const { return out_ > 0; }
    std::int64_t in() const { return in_; }
    std::int64_t out() const { return out_; }

    // [n, in] -> [n, out], compute type.
    at::Tensor operator()(const at::Tensor& x) const;
    // For the residual stream: float32 sums where the kernel gives them for free, else the compute type.
    at::Tensor to_stream(const at::Tensor& x) const;
    // y += x W^T (+ b), y from to_stream() of a layer of the same type and place.
    void add_to(at::Tensor& y, const at::Tensor& x) const;

private:
    struct Packed;
    void run(const at::Tensor& x, at::Tensor& y, bool accumulate) const;

    std::int64_t in_ = 0;
    std::int64_t out_ = 0;
    at::Tensor weight_; // undefined when packed
    at::Tensor bias_;
    std::shared_ptr<const Packed> packed_;
};

} // namespace wander::nn
