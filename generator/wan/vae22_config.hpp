#pragma once
// Sizes of the Wan 2.2 VAE (16 x 16 pixels and 4 frames a latent, 48 channels), and its layers as data. Native tensor
// names: conv1 and conv2 are the 1x1 convolutions between moments and latents, levels are lists within a list.
// Pure data, any thread.

#include "generator/wan/vae_plan.hpp"

#include <cstdint>
#include <vector>

namespace wander {

struct Vae22Config {
    int z = 48;
    int dim = 160;         // narrowest width of the encoder
    int decoder_dim = 256; // and of the decoder
    std::vector<int> multipliers = {1, 2, 4, 4};
    int residual_blocks = 2; // of an encoder level; a decoder level has one more
    std::vector<bool> temporal_downsample = {false, true, true};
    int patch = 2; // pixels to channels on each axis
    std::vector<double> latent_mean;
    std::vector<double> latent_std;

    // The published sizes, means and deviations.
    static Vae22Config published();
    int spatial_scale() const { return patch << temporal_downsample.size(); }
    ShapeMap tensor_shapes(bool encoder, bool decoder) const;
};

// A level: its layers, and the shortcut around them that changes width, time and space without weights.
struct Vae22Level {
    std::vector<VaeLayer> layers;
    int in = 0;
    int out = 0;
    int time = 1;  // frames that become one, or that one becomes
    int space = 1; // the same for rows and columns
    bool shortcut = true;
};

struct Vae22Half {
    VaeConvPlan first;
    std::vector<VaeLayer> middle; // before the decoder's levels, after the encoder's
    std::vector<Vae22Level> levels;
    std::string head_norm;
    VaeConvPlan head;
    int head_channels = 0;
};

// The decoder's layers as one list; VaeLayer::around says where the shortcuts begin.
VaeHalf flat_decoder(const Vae22Half& decoder);

Vae22Half plan_vae22_decoder(const Vae22Config& config);
Vae22Half plan_vae22_encoder(const Vae22Config& config);

} // namespace wander
