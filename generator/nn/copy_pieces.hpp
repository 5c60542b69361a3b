#pragma once
// Strided copies side by side. On an NVIDIA GPU all of them by one kernel on the current stream of the device that the
// targets are on; sources may be another GPU's memory that this one can read (split/head_split.hpp). On the CPU, and
// the twin in the tests, plain torch.

#include <ATen/core/Tensor.h>

#include <vector>

namespace wander::nn {

// [rows, n, m] each, of one type and shape; rows may lie apart, the values of one row may not.
struct CopyPiece {
    at::Tensor from, to;
};

void copy_pieces(const std::vector<CopyPiece>& pieces);

} // namespace wander::nn
