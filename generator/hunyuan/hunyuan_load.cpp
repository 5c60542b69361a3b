#include "generator/hunyuan/hunyuan_load.hpp"

#include <ATen/ATen.h>

#include <utility>

namespace wander {

HunyuanLoader::HunyuanLoader(std::map<std::string, at::Tensor> tensors, at::Device device, at::ScalarType compute,
                             nn::WeightType large)
    : tensors_(std::move(tensors)),
      device_(device),
      compute_(compute),
      wide_(compute == at::kDouble ? at::kDouble : at::kFloat),
      large_(large) {}

at::Tensor HunyuanLoader::take(const std::string& name, bool keep) {
    if (keep) return tensors_.at(name);
    auto found = tensors_.extract(name);
    TORCH_CHECK(!found.empty(), "HunyuanLoader: ", name, " is not there, or was taken");
    return std::move(found.mapped());
}

at::Tensor HunyuanLoader::wide(const std::string& name) { return take(name).to(device_, wide_).contiguous(); }

nn::Linear HunyuanLoader::linear(const std::string& name) {
    return {take(name + ".weight").flatten(1), take(name + ".bias"), device_, compute_};
}

nn::Linear HunyuanLoader::wide_linear(const std::string& name) {
    return {take(name + ".weight").flatten(1), take(name + ".bias"), device_, wide_};
}

nn::Linear HunyuanLoader::large_linear(const std::string& name) {
    return {take(name + ".weight"), take(name + ".bias"), device_, compute_, large_};
}

nn::Linear HunyuanLoader::stacked(const std::string& prefix, const std::vector<const char*>& parts, bool keep) {
    std::vector<at::Tensor> weights, biases;
    for (const char* part : parts) {
        weights.push_back(take(prefix + part + ".weight", keep).to(device_));
        biases.push_back(take(prefix + part + ".bias", keep).to(device_));
    }
    return {at::cat(weights), at::cat(biases), device_, compute_, large_};
}

nn::Linear HunyuanLoader::side_by_side(const std::string& first, const std::string& second) {
    const at::Tensor bias = take(first + ".bias").to(device_, wide_) + take(second + ".bias").to(device_, wide_);
    const at::Tensor weight = at::cat({take(first + ".weight").to(device_), take(second + ".weight").to(device_)}, 1);
    return {weight, bias, device_, compute_};
}

} // namespace wander
