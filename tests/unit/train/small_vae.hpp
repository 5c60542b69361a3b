#pragma once
// A tiny autoencoder of the embedded layout, and pictures for it.

#include "generator/wan/vae.hpp"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

namespace wander::train {

inline VaeConfig small_vae_config() {
    VaeConfig config;
    config.layout = VaeConfig::Layout::embedded;
    config.z = 4;
    config.patch = 2;
    config.encoder_channels = {13, 14, 15};
    config.decoder_channels = {13, 14, 15};
    config.latent_mean = {0.1, -0.2, 0.3, 0};
    config.latent_std = {1.5, 0.5, 1, 2};
    return config;
}

// [clips, frames, height, width, 3] in [-1, 1]: soft patches that change slowly.
inline at::Tensor smooth_frames(std::int64_t clips, std::int64_t frames, std::int64_t height, std::int64_t width) {
    const at::Tensor coarse = at::rand({clips, 3, 3, 4, 5}, at::make_generator<at::CPUGeneratorImpl>(5)) * 2 - 1;
    return at::upsample_trilinear3d(coarse, {frames, height, width}, true).permute({0, 2, 3, 4, 1}).contiguous();
}

} // namespace wander::train
