#pragma once
// The VAE as a list of layers with names and widths: what must be loaded and in which order it runs. Pure data.

#include "generator/wan/vae.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace wander {

struct VaeLayer {
    enum class Kind { residual, attention, up_space, up_time_space, down_space, down_time_space };
    Kind kind = Kind::residual;
    std::string name; // prefix of its tensors, say "decoder.upsamples.3"
    int in = 0;       // channels
    int out = 0;
    int taps = 3;        // residual: frames that its convolutions see, 3 or 1
    bool around = false; // what it reads goes around all layers up to the next change of size as well (Wan 2.2)
};

struct VaeConvPlan {
    std::string name;
    int in = 0;
    int out = 0;
    int taps = 1;
};

struct VaeHalf {       // encoder or decoder
    VaeConvPlan first; // "decoder.conv1"
    std::vector<VaeLayer> layers;
    std::string head_norm; // "decoder.head.0"
    VaeConvPlan head;      // "decoder.head.2"
    int head_channels = 0; // input of the head
};

VaeHalf plan_decoder(const VaeConfig& config);
VaeHalf plan_encoder(const VaeConfig& config);

using ShapeMap = std::map<std::string, std::vector<std::int64_t>>;
void add_shapes(const VaeHalf& half, ShapeMap& shapes);

} // namespace wander
