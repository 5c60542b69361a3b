#include "generator/nn/rope_layout.hpp"

#include <ATen/ATen.h>

#include <cmath>
#include <vector>

namespace wander::nn {
namespace {

std::vector<double> frequencies(int channels, double theta) {
    std::vector<double> values;
    values.reserve(static_cast<std::size_t>(channels / 2));
    for (int j = 0; j < channels / 2; ++j) values.push_back(std::pow(theta, -2.0 * j / channels));
    return values;
}

} // namespace

void fill_rope(const RopeLayout& layout, int rows, int cols, quant::ReadView& view) {
    view.time_frequencies = at::tensor(frequencies(layout.time_channels, layout.theta), at::kDouble);
    const auto row_steps = frequencies(layout.row_channels, layout.theta);
    const auto col_steps = frequencies(layout.col_channels, layout.theta);
    const auto pairs = static_cast<std::int64_t>(row_steps.size() + col_steps.size());
    view.space_angles = at::empty({static_cast<std::int64_t>(rows) * cols, pairs}, at::kDouble);
    double* angle = view.space_angles.data_ptr<double>();
    for (int row = 0; row < rows; ++row) {
        for (int col = 0; col < cols; ++col) {
            for (const double step : row_steps) *angle++ = row * step;
            for (const double step : col_steps) *angle++ = col * step;
        }
    }
}

} // namespace wander::nn
