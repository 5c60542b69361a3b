#pragma once
// Weights by their native names, in one order that every process agrees on.

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

namespace wander::train {

// float32; the order is the order of names in files.
using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

} // namespace wander::train
