#include "generator/train/ema.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cassert>

namespace wander::train {

Ema::Ema(const NamedTensors& mean, const NamedTensors& live, double slowest) : slowest_(slowest) {
    assert(mean.size() == live.size());
    for (std::size_t i = 0; i < mean.size(); ++i) {
        assert(mean[i].first == live[i].first);
        mean_.push_back(mean[i].second);
        live_.push_back(live[i].second);
    }
}

void Ema::restart() {
    const c10::NoGradGuard no_grad;
    for (std::size_t i = 0; i < mean_.size(); ++i) mean_[i].copy_(live_[i]);
}

void Ema::update(std::int64_t step) {
    const c10::NoGradGuard no_grad;
    const auto n = static_cast<double>(step);
    const double kept = std::min(slowest_, (n + 1) / (n + 20));
    at::_foreach_lerp_(mean_, live_, 1 - kept);
}

} // namespace wander::train
