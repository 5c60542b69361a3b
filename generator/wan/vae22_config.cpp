#include "generator/wan/vae22_config.hpp"

#include <utility>

namespace wander {

namespace {

using Kind = VaeLayer::Kind;

Vae22Half half_of(const std::string& prefix, int first_in, int first_out, int head_in, int head_out, int middle) {
    Vae22Half half;
    half.first = {prefix + ".conv1", first_in, first_out, 3};
    half.middle = {{Kind::residual, prefix + ".middle.0", middle, middle, 3},
                   {Kind::attention, prefix + ".middle.1", middle, middle, 1},
                   {Kind::residual, prefix + ".middle.2", middle, middle, 3}};
    half.head_norm = prefix + ".head.0";
    half.head = {prefix + ".head.2", head_in, head_out, 3};
    half.head_channels = head_in;
    return half;
}

Vae22Level level_of(const std::string& prefix, int in, int out, int blocks) {
    Vae22Level level;
    level.in = in;
    level.out = out;
    for (int i = 0; i < blocks; ++i)
        level.layers.push_back({Kind::residual, prefix + std::to_string(i), i == 0 ? in : out, out, 3});
    return level;
}

VaeHalf flat(const Vae22Half& half) {
    VaeHalf list{half.first, half.middle, half.head_norm, half.head, half.head_channels};
    for (const Vae22Level& level : half.levels) {
        const std::size_t begin = list.layers.size();
        list.layers.insert(list.layers.end(), level.layers.begin(), level.layers.end());
        list.layers[begin].around = level.shortcut;
    }
    return list;
}

void add_pointwise(const std::string& name, int channels, ShapeMap& shapes) {
    shapes[name + ".weight"] = {channels, channels, 1, 1, 1};
    shapes[name + ".bias"] = {channels};
}

} // namespace

VaeHalf flat_decoder(const Vae22Half& decoder) { return flat(decoder); }

Vae22Half plan_vae22_decoder(const Vae22Config& config) {
    const std::size_t levels = config.multipliers.size();
    int in = config.decoder_dim * config.multipliers.back();
    const int narrow = config.decoder_dim * config.multipliers.front();
    Vae22Half half = half_of("decoder", config.z, in, narrow, 3 * config.patch * config.patch, in);
    for (std::size_t i = 0; i < levels; ++i) {
        const int out = config.decoder_dim * config.multipliers[levels - 1 - i];
        const std::string prefix = "decoder.upsamples." + std::to_string(i) + ".upsamples.";
        Vae22Level level = level_of(prefix, in, out, config.residual_blocks + 1);
        level.shortcut = i + 1 < levels;
        if (level.shortcut) {
            const bool time = config.temporal_downsample[levels - 2 - i];
            level.layers.push_back({time ? Kind::up_time_space : Kind::up_space,
                                    prefix + std::to_string(config.residual_blocks + 1), out, out, 1});
            level.time = time ? 2 : 1;
            level.space = 2;
        }
        half.levels.push_back(std::move(level));
        in = out;
    }
    return half;
}

Vae22Half plan_vae22_encoder(const Vae22Config& config) {
    const std::size_t levels = config.multipliers.size();
    int in = config.dim * config.multipliers.front();
    const int wide = config.dim * config.multipliers.back();
    Vae22Half half = half_of("encoder", 3 * config.patch * config.patch, in, wide, 2 * config.z, wide);
    for (std::size_t i = 0; i < levels; ++i) {
        const int out = config.dim * config.multipliers[i];
        const std::string prefix = "encoder.downsamples." + std::to_string(i) + ".downsamples.";
        Vae22Level level = level_of(prefix, in, out, config.residual_blocks);
        if (i + 1 < levels) {
            const bool time = config.temporal_downsample[i];
            level.layers.push_back({time ? Kind::down_time_space : Kind::down_space,
                                    prefix + std::to_string(config.residual_blocks), out, out, 1});
            level.time = time ? 2 : 1;
            level.space = 2;
        }
        half.levels.push_back(std::move(level));
        in = out;
    }
    return half;
}

ShapeMap Vae22Config::tensor_shapes(bool encoder, bool decoder) const {
    ShapeMap shapes;
    if (encoder) {
        add_shapes(flat(plan_vae22_encoder(*this)), shapes);
        add_pointwise("conv1", 2 * z, shapes);
    }
    if (decoder) {
        add_shapes(flat(plan_vae22_decoder(*this)), shapes);
        add_pointwise("conv2", z, shapes);
    }
    return shapes;
}

Vae22Config Vae22Config::published() {
    Vae22Config config;
    config.latent_mean = {-0.2289, -0.0052, -0.1323, -0.2339, -0.2799, 0.0174,  0.1838,  0.1557,  -0.1382, 0.0542,
                          0.2813,  0.0891,  0.157,   -0.0098, 0.0375,  -0.1825, -0.2246, -0.1207, -0.0698, 0.5109,
                          0.2665,  -0.2108, -0.2158, 0.2502,  -0.2055, -0.0322, 0.1109,  0.1567,  -0.0729, 0.0899,
                          -0.2799, -0.123,  -0.0313, -0.1649, 0.0117,  0.0723,  -0.2839, -0.2083, -0.052,  0.3748,
                          0.0152,  0.1957,  0.1433,  -0.2944, 0.3573,  -0.0548, -0.1681, -0.0667};
    config.latent_std = {0.4765, 1.0364, 0.4514, 1.1677, 0.5313, 0.499,  0.4818, 0.5013, 0.8158, 1.0344,
                         0.5894, 1.0901, 0.6885, 0.6165, 0.8454, 0.4978, 0.5759, 0.3523, 0.7135, 0.6804,
                         0.5833, 1.4146, 0.8986, 0.5659, 0.7069, 0.5338, 0.4889, 0.4917, 0.4069, 0.4999,
                         0.6866, 0.4093, 0.5709, 0.6065, 0.6415, 0.4944, 0.5726, 1.2042, 0.5458, 1.6887,
                         0.3971, 1.06,   0.3943, 0.5537, 0.5444, 0.4089, 0.7468, 0.7744};
    return config;
}

} // namespace wander
