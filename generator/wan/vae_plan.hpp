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

// A layer's tensors, behind its own name: here the Wan VAEs'.
struct VaeNames {
    std::string norm1 = ".residual.0", conv1 = ".residual.2", norm2 = ".residual.3", conv2 = ".residual.6";
    std::string shortcut = ".shortcut";
    std::string norm = ".norm", qkv = ".to_qkv", proj = ".proj"; // of the attention
    std::string time = ".time_conv", space = ".resample.1";      // of a change of size
};

struct VaeHalf {       // encoder or decoder
    VaeConvPlan first; // "decoder.conv1"
    std::vector<VaeLayer> layers;
    std::string head_norm; // "decoder.head.0"
    VaeConvPlan head;      // "decoder.head.2"
    int head_channels = 0; // input of the head
    VaeNames names = {};
    // How its pictures grow: doubled and then convolved (Wan), or a convolution to boxes of pixels and frames, beside
    // which the input goes with its channels repeated (HunyuanVideo, whose names.space is that convolution).
    bool grows_by_boxes = false;
};

VaeHalf plan_decoder(const VaeConfig& config);
VaeHalf plan_encoder(const VaeConfig& config);

using ShapeMap = std::map<std::string, std::vector<std::int64_t>>;
void add_shapes(const VaeHalf& half, ShapeMap& shapes);

} // namespace wander
