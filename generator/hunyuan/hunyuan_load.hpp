#pragma once
// Checked tensors of one side of the 8B transformer in the type and place that the network wants. A tensor is handed
// out once and let go, so that what a source made in memory does not stay beside what the network keeps.

#include "generator/nn/linear.hpp"

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

namespace wander {

class HunyuanLoader {
public:
    HunyuanLoader(std::map<std::string, at::Tensor> tensors, at::Device device, at::ScalarType compute,
                  nn::WeightType large);

    at::ScalarType wide_type() const { return wide_; }
    at::Tensor wide(const std::string& name);
    nn::Linear linear(const std::string& name);
    nn::Linear wide_linear(const std::string& name);
    // Rows of several layers under each other, in the type that was asked for large matrices. keep: the tensors stay,
    // for another layer made of them.
    nn::Linear stacked(const std::string& prefix, const std::vector<const char*>& parts, bool keep = false);
    nn::Linear large_linear(const std::string& name);
    // y = first(a) + second(b) as one product over [a | b].
    nn::Linear side_by_side(const std::string& first, const std::string& second);

private:
    at::Tensor take(const std::string& name, bool keep = false);

    std::map<std::string, at::Tensor> tensors_;
    at::Device device_;
    at::ScalarType compute_;
    at::ScalarType wide_;
    nn::WeightType large_;
};

} // namespace wander
