#pragma once
// The decoders that decode_bench measures, with random weights of the published sizes. Needs CUDA.

#include "tests/bench/decode/measure.hpp"

namespace wander::bench {

void bench_wan21(const Options& options); // the full VAE and its tiny decoder
void bench_wan22(const Options& options); // the encoder on one picture as well
void bench_hunyuan(const Options& options);
void bench_tiny_worldplay(const Options& options);

} // namespace wander::bench
