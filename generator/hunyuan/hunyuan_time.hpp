#pragma once
// Embeddings of timesteps and labels, the same three layers everywhere in the 8B transformer (hy-worldplay.md 2.3).

#include "generator/hunyuan/hunyuan_load.hpp"

namespace wander {

struct HunyuanEmbedder {
    nn::Linear first, second; // wide type
    int width = 0;            // of the waves

    static HunyuanEmbedder load(HunyuanLoader& loader, const std::string& name);
    // [values, dim] wide: second(SiLU(first(waves))).
    at::Tensor operator()(const std::vector<double>& values, at::Device device, at::ScalarType wide) const;
};

// [values, width]: cosines first, frequencies 10000^(-j / half). Angles in `wide`, as the public code forms them.
at::Tensor hunyuan_waves(const std::vector<double>& values, int width, at::ScalarType wide);

} // namespace wander
