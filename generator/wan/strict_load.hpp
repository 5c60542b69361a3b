#pragma once
// Collects the tensors of a checkpoint and every reason why some are missing, for one message. Used while loading.

#include "generator/plain/result.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace wander {

// All tensors of `shapes`, or bad_input whose message lists the differences (the first few of them, and how many).
inline Result<std::map<std::string, at::Tensor>> load_strictly(
    const std::map<std::string, std::vector<std::int64_t>>& shapes,
    const std::function<Result<at::Tensor>(const std::string&, const std::vector<std::int64_t>&)>& source,
    const char* what) {
    constexpr std::size_t kListed = 4;
    std::map<std::string, at::Tensor> tensors;
    std::string differences;
    std::size_t count = 0;
    for (const auto& [name, shape] : shapes) {
        auto tensor = source(name, shape);
        if (tensor && tensor->sizes() == at::IntArrayRef(shape)) {
            tensors.emplace(name, std::move(*tensor));
            continue;
        }
        if (++count > kListed) continue;
        differences +=
            (count > 1 ? "; " : "") + (tensor ? "tensor '" + name + "' has another shape" : tensor.error().message);
    }
    if (count == 0) return tensors;
    if (count > kListed) differences += "; and " + std::to_string(count - kListed) + " more";
    return Error{ErrorCode::bad_input, std::string("the checkpoint does not fit this ") + what + ": " + differences};
}

} // namespace wander
