#pragma once
// Means with their uncertainty over scripts. No torch.

#include <vector>

namespace wander::evaluate {

struct Estimate {
    double mean = 0;
    double half_width = 0; // of the 95 % interval by Student's t; 0 for fewer than two values
};
Estimate estimate(const std::vector<double>& values);
double median(std::vector<double> values); // 0 for none

} // namespace wander::evaluate
