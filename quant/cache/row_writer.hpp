#pragma once
// Copies a chunk's keys and values into uncompressed pages.

#include <ATen/core/Tensor.h>

namespace wander::quant {

// [rows, heads, head_dim], one type and one device.
struct RowPair {
    at::Tensor keys, values;
};

// from: rows may lie apart, as in a product of several operands. to: dense. On an NVIDIA GPU one launch on the current
// stream, where the rows can be read by sixteen bytes. Worker thread.
void write_rows(const RowPair& from, const RowPair& to);

} // namespace wander::quant
