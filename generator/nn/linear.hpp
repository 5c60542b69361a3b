#pragma once
// Fully connected layer y = x W^T + b whose weight is kept in the form its device reads fastest.
//
// Immutable after construction, may be used by several threads. Compute types float, bfloat16 and double; rows are
// dense [n, in]. W follows the checkpoints: [out, in].

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace wander::nn {

class Linear {
public:
    Linear() = default;
    // bias may be undefined.
    Linear(const at::Tensor& weight, const at::Tensor& bias, at::Device device, at::ScalarType compute);

    bool defined() const { return weight_.defined(); }
    std::int64_t in() const { return weight_.size(1); }
    std::int64_t out() const { return weight_.size(0); }

    // [n, in] -> [n, out], compute type.
    at::Tensor operator()(const at::Tensor& x) const;
    // y += x W^T (+ b).
    void add_to(at::Tensor& y, const at::Tensor& x) const;

private:
    at::Tensor weight_;
    at::Tensor bias_;
};

} // namespace wander::nn
