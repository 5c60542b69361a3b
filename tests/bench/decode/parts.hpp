#pragma once
// The pieces of a chunk of each decoder one by one, at its sizes. Needs CUDA.

#include "tests/bench/decode/measure.hpp"

namespace wander::bench {

void bench_full_parts(const Options& options); // Wan 2.1
void bench_wan22_parts(std::int64_t rows, std::int64_t cols);
void bench_hunyuan_parts(std::int64_t rows, std::int64_t cols);
void bench_tiny_parts();

} // namespace wander::bench
