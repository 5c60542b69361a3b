#include "generator/evaluate/plain/statistics.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace wander::evaluate {

namespace {

// Student's t, two-sided 95 %, by degrees of freedom from 1 on.
constexpr std::array<double, 30> kStudent = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
                                             2.201,  2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
                                             2.080,  2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042};
constexpr double kNormal = 1.960;

} // namespace

Estimate estimate(const std::vector<double>& values) {
    Estimate e;
    if (values.empty()) return e;
    const auto count = static_cast<double>(values.size());
    for (const double value : values) e.mean += value / count;
    if (values.size() < 2) return e;
    double squares = 0;
    for (const double value : values) squares += (value - e.mean) * (value - e.mean);
    const std::size_t freedom = values.size() - 1;
    const double t = freedom <= kStudent.size() ? kStudent[freedom - 1] : kNormal;
    e.half_width = t * std::sqrt(squares / static_cast<double>(freedom) / count);
    return e;
}

double median(std::vector<double> values) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    const std::size_t half = values.size() / 2;
    return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

} // namespace wander::evaluate
