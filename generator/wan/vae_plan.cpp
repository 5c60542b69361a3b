#include "generator/wan/vae_plan.hpp"

namespace wander {

namespace {

using Kind = VaeLayer::Kind;

class HalfBuilder {
public:
    HalfBuilder(std::string prefix, std::string list) : prefix_(std::move(prefix)), list_(std::move(list)) {}

    void add(Kind kind, int in, int out, int taps = 3) {
        half.layers.push_back({kind, prefix_ + "." + list_ + "." + std::to_string(index_++), in, out, taps});
    }
    void add_middle(int width) {
        half.layers.push_back({Kind::residual, prefix_ + ".middle.0", width, width, 3});
        half.layers.push_back({Kind::attention, prefix_ + ".middle.1", width, width, 1});
        half.layers.push_back({Kind::residual, prefix_ + ".middle.2", width, width, 3});
    }
    void finish(int first_in, int first_out, int head_in, int head_out, int head_taps) {
        half.first = {prefix_ + ".conv1", first_in, first_out, 3};
        half.head_norm = prefix_ + ".head.0";
        half.head = {prefix_ + ".head.2", head_in, head_out, head_taps};
        half.head_channels = head_in;
    }
    VaeHalf half;

private:
    std::string prefix_;
    std::string list_;
    int index_ = 0;
};

// Wan 2.1, self-forcing.md 8.3: widths from coarse to fine; an upsampler halves the width that the next level starts
// from.
VaeHalf wan_decoder(const VaeConfig& config) {
    HalfBuilder builder("decoder", "upsamples");
    const int levels = static_cast<int>(config.multipliers.size());
    int in = config.dim * config.multipliers.back();
    const int first = in;
    builder.add_middle(first);
    for (int level = 0; level < levels; ++level) {
        const int out = config.dim * config.multipliers[static_cast<std::size_t>(levels - 1 - level)];
        for (int i = 0; i < config.residual_blocks + 1; ++i) {
            builder.add(Kind::residual, in, out);
            in = out;
        }
        if (level + 1 < levels) {
            const bool time = config.temporal_downsample[static_cast<std::size_t>(levels - 2 - level)];
            builder.add(time ? Kind::up_time_space : Kind::up_space, out, out / 2);
            in = out / 2;
        }
    }
    builder.finish(config.z, first, in, 3 * config.patch * config.patch, 3);
    return builder.half;
}

VaeHalf wan_encoder(const VaeConfig& config) {
    HalfBuilder builder("encoder", "downsamples");
    const int levels = static_cast<int>(config.multipliers.size());
    int in = config.dim;
    for (int level = 0; level < levels; ++level) {
        const int out = config.dim * config.multipliers[static_cast<std::size_t>(level)];
        for (int i = 0; i < config.residual_blocks; ++i) {
            builder.add(Kind::residual, in, out);
            in = out;
        }
        if (level + 1 < levels) {
            builder.add(
                config.temporal_downsample[static_cast<std::size_t>(level)] ? Kind::down_time_space : Kind::down_space,
                out, out);
        }
    }
    builder.add_middle(in);
    builder.finish(3 * config.patch * config.patch, config.dim, in, 2 * config.z, 3);
    return builder.half;
}

// The embedded world's, tiny-world.md 2: two time-and-space changes, no attention, the finest level sees one frame.
VaeHalf embedded_decoder(const VaeConfig& config) {
    const auto& width = config.decoder_channels;
    HalfBuilder builder("decoder", "upsamples");
    for (int level = 2; level >= 0; --level) {
        const int w = width[static_cast<std::size_t>(level)];
        for (int i = 0; i < 2; ++i) builder.add(Kind::residual, w, w, level == 0 ? 1 : 3);
        if (level > 0) builder.add(Kind::up_time_space, w, width[static_cast<std::size_t>(level - 1)]);
    }
    builder.finish(config.z, width[2], width[0], 3 * config.patch * config.patch, 1);
    return builder.half;
}

VaeHalf embedded_encoder(const VaeConfig& config) {
    const auto& width = config.encoder_channels;
    HalfBuilder builder("encoder", "downsamples");
    builder.add(Kind::residual, width[0], width[0], 1);
    for (int level = 1; level < 3; ++level) {
        const int w = width[static_cast<std::size_t>(level)];
        builder.add(Kind::down_time_space, width[static_cast<std::size_t>(level - 1)], w);
        for (int i = 0; i < 2; ++i) builder.add(Kind::residual, w, w);
    }
    builder.finish(3 * config.patch * config.patch, width[0], width[2], 2 * config.z, 3);
    return builder.half;
}

void add_conv(ShapeMap& shapes, const std::string& name, std::vector<std::int64_t> weight) {
    shapes[name + ".bias"] = {weight[0]};
    shapes[name + ".weight"] = std::move(weight);
}

void add_layer(const VaeLayer& layer, const VaeNames& names, ShapeMap& shapes) {
    switch (layer.kind) {
        case Kind::residual:
            shapes[layer.name + names.norm1 + ".gamma"] = {layer.in, 1, 1, 1};
            add_conv(shapes, layer.name + names.conv1, {layer.out, layer.in, layer.taps, 3, 3});
            shapes[layer.name + names.norm2 + ".gamma"] = {layer.out, 1, 1, 1};
            add_conv(shapes, layer.name + names.conv2, {layer.out, layer.out, layer.taps, 3, 3});
            if (layer.in != layer.out) add_conv(shapes, layer.name + names.shortcut, {layer.out, layer.in, 1, 1, 1});
            return;
        case Kind::attention:
            shapes[layer.name + names.norm + ".gamma"] = {layer.in, 1, 1};
            add_conv(shapes, layer.name + names.qkv, {3 * layer.in, layer.in, 1, 1});
            add_conv(shapes, layer.name + names.proj, {layer.in, layer.in, 1, 1});
            return;
        case Kind::up_time_space: add_conv(shapes, layer.name + names.time, {2 * layer.in, layer.in, 3, 1, 1}); break;
        case Kind::down_time_space: add_conv(shapes, layer.name + names.time, {layer.out, layer.out, 3, 1, 1}); break;
        case Kind::up_space:
        case Kind::down_space: break;
    }
    add_conv(shapes, layer.name + names.space, {layer.out, layer.in, 3, 3});
}

} // namespace

VaeHalf plan_decoder(const VaeConfig& config) {
    return config.layout == VaeConfig::Layout::wan21 ? wan_decoder(config) : embedded_decoder(config);
}

VaeHalf plan_encoder(const VaeConfig& config) {
    return config.layout == VaeConfig::Layout::wan21 ? wan_encoder(config) : embedded_encoder(config);
}

void add_shapes(const VaeHalf& half, ShapeMap& shapes) {
    add_conv(shapes, half.first.name, {half.first.out, half.first.in, half.first.taps, 3, 3});
    for (const VaeLayer& layer : half.layers) add_layer(layer, half.names, shapes);
    shapes[half.head_norm + ".gamma"] = {half.head_channels, 1, 1, 1};
    add_conv(shapes, half.head.name, {half.head.out, half.head.in, half.head.taps, 3, 3});
}

ShapeMap VaeConfig::tensor_shapes(bool encoder, bool decoder) const {
    ShapeMap shapes;
    if (encoder) add_shapes(plan_encoder(*this), shapes);
    if (decoder) add_shapes(plan_decoder(*this), shapes);
    if (layout == Layout::wan21) {
        if (encoder) add_conv(shapes, "conv1", {2 * z, 2 * z, 1, 1, 1});
        if (decoder) add_conv(shapes, "conv2", {z, z, 1, 1, 1});
    }
    return shapes;
}

} // namespace wander
