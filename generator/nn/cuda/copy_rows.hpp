#pragma once
// Launcher of strided copies side by side on an NVIDIA GPU, which may read another GPU's memory where peers can.
//
// Raw device pointers, the caller's stream and current device, no synchronisation, no allocation. Plain twin: torch's
// copy_ (tests/unit/generator/gpu/copy_pieces_test.cpp, bit for bit).

#include <cstdint>

struct CUstream_st;

namespace wander::nn::cuda {

using Stream = CUstream_st*;

inline constexpr int kMostRowCopies = 16;

// Multiples of 4 bytes everywhere; of 16 is quicker.
struct RowCopy {
    const void* from = nullptr;
    void* to = nullptr;
    std::int64_t rows = 0;
    std::int64_t row_bytes = 0;
    std::int64_t from_stride = 0, to_stride = 0; // between rows, bytes
};
struct RowCopies {
    RowCopy copies[kMostRowCopies];
    int count = 0;
};

// Null, or why it did not begin.
const char* launch_copy_rows(const RowCopies& copies, Stream stream);

} // namespace wander::nn::cuda
