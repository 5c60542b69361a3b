#pragma once
// Rotary positions of a picture's tokens: what a ReadView needs beside the time positions.
//
// For an axis of width d pair j turns by position * theta^(-2j / d). Time comes first in a head, then rows, columns.

#include "quant/kv_cache.hpp"

namespace wander::nn {

struct RopeLayout {
    int time_channels = 0; // all even
    int row_channels = 0;
    int col_channels = 0;
    double theta = 10000.0;
};

// Time frequencies, and the angles of a rows x cols grid of tokens.
void fill_rope(const RopeLayout& layout, int rows, int cols, quant::ReadView& view);

} // namespace wander::nn
