#pragma once
// The two small kernels around cuDNN's E4M3 attention. Raw device pointers, the caller's stream, no synchronisation.

#include "quant/cuda/expand.hpp"

namespace wander::quant::cuda {

// Factors that cuDNN reads on the device. Probabilities are at most 1, so 256 uses E4M3's range (448) without overflow.
// The output is a mean of values: stored with the values' own factor it cannot overflow either.
struct E4m3Factors {
    float descale_probability; // 1 / 256
    float scale_probability;   // 256
    float scale_output;        // 1 / descale_v
    float largest[2];          // written by cuDNN: largest probability and output; nobody reads them
};

// One thread: fills *factors.
void launch_e4m3_factors(const float* descale_v, E4m3Factors* factors, Stream stream);

// out[i] = source[i] * *descale, `count` values (a multiple of 8), in `element`.
void launch_widen_e4m3(const void* source, const float* descale, std::int64_t count, Element element, void* out,
                       Stream stream);

} // namespace wander::quant::cuda
