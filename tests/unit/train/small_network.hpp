#pragma once
// A transformer of the embedded world's form with one head and two layers, over latents of 4 x 6, and clips for it.

#include "generator/train/clip.hpp"
#include "generator/train/parameters.hpp"
#include "generator/wan/dit.hpp"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <cmath>
#include <string>

namespace wander::test {

inline at::Generator generator_of(std::uint64_t seed) { return at::detail::createCPUGenerator(seed); }

inline DitConfig small_network() {
    DitConfig config;
    config.dim = 64;
    config.layers = 2;
    config.heads = 1;
    config.head_dim = 64;
    config.ffn = 96;
    config.channels = 16;
    config.freq_dim = 32;
    config.rope_theta = 256;
    config.rope_time_channels = 24;
    config.rope_row_channels = 20;
    config.rope_col_channels = 20;
    config.action_label = true;
    config.prope = true;
    config.pose_hidden = 24;
    config.pose_worlds = 2;
    config.map_channels = 4;
    config.map_fine_cells = 8;
    config.map_coarse_cells = 4;
    config.fine_distances = {0.3, 1.2, 3};
    config.coarse_distances = {4, 9};
    return config;
}

inline train::LatentGeometry small_geometry() {
    train::LatentGeometry geometry;
    geometry.rows = 4;
    geometry.cols = 6;
    geometry.camera = CameraModel{0.6, 0.6 * 6 / 4, 16, 0.3};
    return geometry;
}

// Values under which every part of the network acts, unlike those that training begins with.
inline train::Parameters lively_parameters(const DitConfig& config, std::uint64_t seed,
                                           at::ScalarType type = at::kFloat) {
    at::Generator random = generator_of(seed);
    std::map<std::string, at::Tensor> tensors;
    for (const auto& [name, shape] : config.tensor_shapes()) {
        const at::Tensor r = at::empty(shape, at::kDouble).normal_(0, 1, random);
        double scale = 1 / std::sqrt(static_cast<double>(r.numel() / shape[0]));
        if (name.ends_with("bias")) scale = 0.1;
        if (name.ends_with("modulation")) scale = 0.3;
        const bool norm = shape.size() == 1 && name.ends_with("weight");
        tensors.emplace(name, (norm ? r * 0.2 + 1 : r * scale).to(type));
    }
    return train::Parameters(std::move(tensors));
}

inline train::Clip random_clip(const DitConfig& config, const train::LatentGeometry& geometry, std::int64_t batch,
                               std::int64_t latents, std::uint64_t seed, at::ScalarType type = at::kFloat) {
    at::Generator random = generator_of(seed);
    const auto normal = [&](std::vector<std::int64_t> shape) {
        return at::empty(shape, at::kDouble).normal_(0, 1, random).to(type);
    };
    train::Clip clip;
    clip.context = normal({batch, 1 + latents, config.channels, geometry.rows, geometry.cols});
    clip.noisy = normal({batch, latents, config.channels, geometry.rows, geometry.cols});
    clip.sigma = at::empty({batch, latents}, at::kFloat).uniform_(0.2, 1, random);
    clip.labels = at::empty({batch, 1 + latents}, at::kFloat).random_(0, 81, random);
    // A walk of small steps, in places that are no special ones.
    const at::Tensor steps = normal({batch, 1 + latents, 4}).to(at::kFloat) * 0.15;
    clip.cameras = steps.cumsum(1) + normal({batch, 1, 4}).to(at::kFloat);
    clip.cameras.select(2, 3).mul_(0.2);
    clip.worlds = at::empty({batch}, at::kLong).random_(0, config.pose_worlds, random);
    clip.with_pose = at::ones({batch}, at::kFloat);
    return clip;
}

// The same values on another device.
inline train::Parameters copy_on(const DitConfig& config, const train::Parameters& parameters, at::Device device) {
    auto loaded = train::Parameters::load(config.tensor_shapes(), parameters.source(), device, "transformer");
    return std::move(*loaded);
}
inline train::Clip moved(const train::Clip& clip, at::Device device) {
    return {clip.context.to(device), clip.noisy.to(device),  clip.sigma.to(device),    clip.labels.to(device),
            clip.cameras.to(device), clip.worlds.to(device), clip.with_pose.to(device)};
}

inline double relative_difference(const at::Tensor& got, const at::Tensor& expected) {
    return ((got.to(at::kDouble) - expected.to(at::kDouble)).abs().max() / expected.to(at::kDouble).abs().max())
        .item<double>();
}

} // namespace wander::test
