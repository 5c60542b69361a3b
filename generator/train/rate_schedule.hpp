#pragma once
// How the learning rate goes: a rise over the first steps, level, then a straight fall to the end. Pure functions.

#include <algorithm>
#include <cstdint>

namespace wander::train {

struct RateSchedule {
    double level = 1;           // factor of every rate
    double end = 0;             // what it falls to
    double fall_from = 0.4;     // progress (0..1) from which it falls
    std::int64_t warm_up = 100; // steps of the rise, also after a start without the optimiser's state

    // progress: 0..1 of the phase; step: since the optimiser's state was empty.
    double factor(double progress, std::int64_t step) const {
        const double share = std::clamp((progress - fall_from) / std::max(1e-9, 1 - fall_from), 0.0, 1.0);
        const double rise =
            warm_up > 0 ? std::min(1.0, static_cast<double>(step + 1) / static_cast<double>(warm_up)) : 1.0;
        return (level + (end - level) * share) * rise;
    }
};

} // namespace wander::train
