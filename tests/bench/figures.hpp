#pragma once
// What every bench makes its figures of: the clock, and the middle of several runs. Needs neither torch nor CUDA.

#include <algorithm>
#include <chrono>
#include <vector>

namespace wander::bench {

inline double now_ms() {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Of an even number the upper one, of none 0.
inline double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values.empty() ? 0 : values[values.size() / 2];
}

} // namespace wander::bench
