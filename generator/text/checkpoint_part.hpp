#pragma once
// The tensors of one network in a checkpoint that holds more than it: names as the network loads them, the rest
// counted. Opening reads names and shapes only; weights stay in their files. Any thread.

#include "generator/plain/result.hpp"
#include "generator/weights/tensor_file.hpp"

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace wander {

// What a tensor of a file is: one of the network's (native), known and not needed (extra, a word for its kind), or
// neither: then the file is of another model.
struct TensorRole {
    std::string native{};
    std::string extra{};
    bool tied = false; // may be there under two names with the same values: the first counts
};
using TensorRoles = std::function<TensorRole(std::string_view name)>;

struct CheckpointPart {
    using TensorSource =
        std::function<Result<at::Tensor>(const std::string& name, const std::vector<std::int64_t>& shape)>;
    using Shapes = std::map<std::string, std::vector<std::int64_t>>;

    TensorSource source; // keeps the file mapped
    Shapes shapes;       // native names
    std::map<std::string, std::size_t> extras;
    TensorFile file; // for a cache's key of the weights

    // "not read: 390 of visual, 1 of lm_head"; empty where everything is read.
    std::string extras_text() const;
    // `required` and nothing else must be there under native names; bad_input lists what is missing, foreign or of
    // another shape (the first few, and how many).
    Result<void> check(const Shapes& required, const std::string& what) const;
};

// bad_input where tensors have no role, or two have the same; `what` completes "does not hold": "the SigLIP tower".
Result<CheckpointPart> open_checkpoint_part(const TensorFile& file, const TensorRoles& roles, const std::string& what);

} // namespace wander
