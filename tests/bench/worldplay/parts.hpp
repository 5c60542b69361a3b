#pragma once
// What parts of a chunk take alone, without a walk: one layer's attention, and of the 8B its products. Needs CUDA.

#include "tests/bench/worldplay/random_model.hpp"

#include <nlohmann/json.hpp>

namespace wander::bench {

// Both parts, attention with scratch of several sizes: ms a chunk and TFLOP/s.
nlohmann::json parts_alone(const Model& model);

} // namespace wander::bench
