#pragma once
// A running mean of the weights: what is exported, and what own roll-outs walk with.

#include "generator/train/named_tensors.hpp"

#include <cstdint>
#include <vector>

namespace wander::train {

class Ema {
public:
    // mean: float32 tensors without gradients, shaped as `live`, changed in place by update(). slowest: how much of the
    // mean a step keeps once it has settled.
    Ema(const NamedTensors& mean, const NamedTensors& live, double slowest = 0.999);

    // The mean becomes the live weights.
    void restart();
    // After the update of step `step` (0, 1, ...) since the weights were new: keeps min(slowest, (step + 1) / (step +
    // 20)).
    void update(std::int64_t step);

private:
    std::vector<at::Tensor> mean_;
    std::vector<at::Tensor> live_;
    double slowest_;
};

} // namespace wander::train
