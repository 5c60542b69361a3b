#pragma once
// A session codebook as raw memory, for the CPU code and the kernels alike.

#include <cstdint>

namespace wander::quant::qvg {

struct BookView {
    std::uint16_t* centroids = nullptr; // bfloat16 [heads][count][head_dim]
    float* weights = nullptr;           // [heads][count], how many tokens stand behind each centroid
};

} // namespace wander::quant::qvg
