#include "generator/hunyuan/hunyuan_vae.hpp"

#include "generator/hunyuan/hunyuan_vae_ops.hpp"
#include "generator/wan/vae_fused.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <limits>
#include <stdexcept>

namespace wander {

namespace {

using Shapes = std::map<std::string, std::vector<std::int64_t>>;

void add_conv(Shapes& shapes, const std::string& name, std::int64_t out, std::int64_t in, std::int64_t kernel) {
    shapes[name + ".weight"] = {out, in, kernel, kernel, kernel};
    shapes[name + ".bias"] = {out};
}

void add_residual(Shapes& shapes, const std::string& name, std::int64_t width) {
    for (const char* index : {"1", "2"}) {
        shapes[fmt::format("{}.norm{}.gamma", name, index)] = {width, 1, 1, 1};
        add_conv(shapes, fmt::format("{}.conv{}.conv", name, index), width, width, 3);
    }
}

void add_middle(Shapes& shapes, const std::string& half, std::int64_t width) {
    add_residual(shapes, half + ".mid.block_1", width);
    add_residual(shapes, half + ".mid.block_2", width);
    shapes[half + ".mid.attn_1.norm.gamma"] = {width, 1, 1, 1};
    for (const char* part : {"q", "k", "v", "proj_out"})
        add_conv(shapes, fmt::format("{}.mid.attn_1.{}", half, part), width, width, 1);
}

// A change of size between two levels.
struct Change {
    std::int64_t in = 0;
    std::int64_t out = 0;
    int time = 1;
    std::int64_t cells() const { return std::int64_t{4} * time; }
};

Change shrinking(const HunyuanVaeConfig& config, std::size_t level) {
    const std::size_t changes = config.widths.size() - 1;
    const bool time = level + static_cast<std::size_t>(config.temporal_levels) >= changes;
    return {config.widths[level], config.widths[level + 1], time ? 2 : 1};
}

// Level 0 of the decoder is the coarsest.
Change enlarging(const HunyuanVaeConfig& config, std::size_t level) {
    const std::size_t changes = config.widths.size() - 1;
    const bool time = level < static_cast<std::size_t>(config.temporal_levels);
    return {config.widths[changes - level], config.widths[changes - level - 1], time ? 2 : 1};
}

constexpr const char* kMiddleAttention = "decoder.mid.attn_1";

// Behind the first convolution, as the fused path runs it.
VaeHalf plan_decoder(const HunyuanVaeConfig& config) {
    using Kind = VaeLayer::Kind;
    VaeHalf half;
    half.names = {.norm1 = ".norm1",
                  .conv1 = ".conv1.conv",
                  .norm2 = ".norm2",
                  .conv2 = ".conv2.conv",
                  .shortcut = {},
                  .norm = ".norm",
                  .qkv = ".qkv",
                  .proj = ".proj_out",
                  .time = {},
                  .space = ".upsample.conv.conv"};
    half.grows_by_boxes = true;
    const int widest = config.widths.back();
    half.layers = {{Kind::residual, "decoder.mid.block_1", widest, widest},
                   {Kind::attention, kMiddleAttention, widest, widest},
                   {Kind::residual, "decoder.mid.block_2", widest, widest}};
    for (std::size_t level = 0; level < config.widths.size(); ++level) {
        const std::string name = fmt::format("decoder.up.{}", level);
        const int width = config.widths[config.widths.size() - 1 - level];
        for (int i = 0; i < config.residual_blocks + 1; ++i)
            half.layers.push_back({Kind::residual, fmt::format("{}.block.{}", name, i), width, width});
        if (level + 1 == config.widths.size()) continue;
        const Change change = enlarging(config, level);
        half.layers.push_back({change.time == 2 ? Kind::up_time_space : Kind::up_space, name,
                               static_cast<int>(change.in), static_cast<int>(change.out)});
    }
    half.head_norm = "decoder.norm_out";
    half.head_channels = config.widths.front();
    half.head = {"decoder.conv_out.conv", half.head_channels, 3, 3};
    return half;
}

FusedVaeForm fused_form() {
    FusedVaeForm form;
    form.replicate = true;
    form.pixels_per_pass = 400'000; // a frame of 480x832
    form.roomy_passes = 4;
    return form;
}

// Queries, keys and values by one convolution.
VaeConv joined(const VaeConv& q, const VaeConv& k, const VaeConv& v) {
    VaeConv all = q;
    all.weight = at::cat({q.weight, k.weight, v.weight}).contiguous(at::MemoryFormat::ChannelsLast);
    all.bias = at::cat({q.bias, k.bias, v.bias});
    all.wide_bias = at::cat({q.wide_bias, k.wide_bias, v.wide_bias});
    return all;
}

} // namespace

Shapes HunyuanVaeConfig::tensor_shapes(bool encoder, bool decoder) const {
    Shapes shapes;
    const std::size_t levels = widths.size();
    if (encoder) {
        add_conv(shapes, "encoder.conv_in.conv", widths.front(), 3, 3);
        for (std::size_t level = 0; level < levels; ++level) {
            const std::string name = fmt::format("encoder.down.{}", level);
            for (int i = 0; i < residual_blocks; ++i)
                add_residual(shapes, fmt::format("{}.block.{}", name, i), widths[level]);
            if (level + 1 == levels) continue;
            const Change change = shrinking(*this, level);
            add_conv(shapes, name + ".downsample.conv.conv", change.out / change.cells(), change.in, 3);
        }
        add_middle(shapes, "encoder", widths.back());
        shapes["encoder.norm_out.gamma"] = {widths.back(), 1, 1, 1};
        add_conv(shapes, "encoder.conv_out.conv", std::int64_t{2} * z, widths.back(), 3);
    }
    if (decoder) {
        add_conv(shapes, "decoder.conv_in.conv", widths.back(), z, 3);
        add_middle(shapes, "decoder", widths.back());
        for (std::size_t level = 0; level < levels; ++level) {
            const std::string name = fmt::format("decoder.up.{}", level);
            for (int i = 0; i < residual_blocks + 1; ++i)
                add_residual(shapes, fmt::format("{}.block.{}", name, i), widths[levels - 1 - level]);
            if (level + 1 == levels) continue;
            const Change change = enlarging(*this, level);
            add_conv(shapes, name + ".upsample.conv.conv", change.out * change.cells(), change.in, 3);
        }
        shapes["decoder.norm_out.gamma"] = {widths.front(), 1, 1, 1};
        add_conv(shapes, "decoder.conv_out.conv", 3, widths.front(), 3);
    }
    return shapes;
}

struct HunyuanVae::Net : CausalVaeNet {
    Net(const HunyuanVaeConfig& sizes, at::Device device, at::ScalarType compute)
        : CausalVaeNet(device, compute), config(sizes) {
        replicate_borders();
    }

    Result<void> load(const TensorSource& source, const DecodeTuning& tuning) {
        if (auto loaded = load_parts(config.tensor_shapes(has_encoder, has_decoder), source, "HunyuanVideo 1.5 VAE");
            !loaded)
            return loaded.error();
        if (has_decoder) fused = FusedVae(plan_decoder(config), fused_form(), device(), compute(), tuning);
        if (!fused.on()) return {};
        const std::string middle = kMiddleAttention;
        convs()[middle + ".qkv"] = joined(part(middle + ".q"), part(middle + ".k"), part(middle + ".v"));
        for (const char* alone : {".q", ".k", ".v"}) convs().erase(middle + alone);
        fused.prepare(convs());
        return {};
    }

    std::int64_t latents_per_part() const override {
        // The fused path cuts where it is wide.
        return fused.on() ? std::numeric_limits<std::int64_t>::max() : CausalVaeNet::latents_per_part();
    }

    at::Tensor block(const std::string& name, const at::Tensor& x, VaePast& past) const {
        return residual({name + ".norm1", name + ".conv1.conv", name + ".norm2", name + ".conv2.conv", {}}, x, past);
    }

    at::Tensor middle(const std::string& half, at::Tensor x, VaePast& past) const {
        x = block(half + ".mid.block_1", x, past);
        const std::string name = half + ".mid.attn_1";
        const at::Tensor normed = norm(name + ".norm", x, false);
        const at::Tensor qkv = at::cat(
            {conv(name + ".q", normed, past), conv(name + ".k", normed, past), conv(name + ".v", normed, past)}, 1);
        x = x + conv(name + ".proj_out", attend_in_frames(qkv), past);
        return block(half + ".mid.block_2", x, past);
    }

    at::Tensor to_decoder(const at::Tensor& latents) const override {
        return (latents.to(device(), wide()) / config.scale).to(compute()).contiguous(at::MemoryFormat::ChannelsLast);
    }

    at::Tensor decode_part(const at::Tensor& z, VaePast& past, bool first) const override {
        at::Tensor x = conv("decoder.conv_in.conv", z, past);
        x = x + z.repeat_interleave(x.size(1) / z.size(1), 1);
        if (fused.on()) return fused.decode(convs(), gammas(), x, past, first);
        x = middle("decoder", x, past);
        for (std::size_t level = 0; level < config.widths.size(); ++level) {
            const std::string name = fmt::format("decoder.up.{}", level);
            for (int i = 0; i < config.residual_blocks + 1; ++i)
                x = block(fmt::format("{}.block.{}", name, i), x, past);
            if (level + 1 == config.widths.size()) continue;
            const Change change = enlarging(config, level);
            const at::Tensor made = conv(name + ".upsample.conv.conv", x, past);
            x = enlarged(made, change.time, first) + enlarged_shortcut(x, change.out, change.time, first);
        }
        return conv("decoder.conv_out.conv", norm("decoder.norm_out", x), past);
    }

    at::Tensor encode_part(const at::Tensor& frames, VaePast& past) const override {
        at::Tensor x = conv("encoder.conv_in.conv", frames.contiguous(at::MemoryFormat::ChannelsLast), past);
        for (std::size_t level = 0; level < config.widths.size(); ++level) {
            const std::string name = fmt::format("encoder.down.{}", level);
            for (int i = 0; i < config.residual_blocks; ++i) x = block(fmt::format("{}.block.{}", name, i), x, past);
            if (level + 1 == config.widths.size()) continue;
            const Change change = shrinking(config, level);
            const at::Tensor made = conv(name + ".downsample.conv.conv", x, past);
            x = shrunk(made, change.time) + shrunk_shortcut(x, change.out, change.time);
        }
        x = middle("encoder", x, past);
        const at::Tensor out = conv("encoder.conv_out.conv", norm("encoder.norm_out", x), past);
        const std::int64_t n = x.size(0), h = x.size(2), w = x.size(3);
        return out + x.reshape({n, out.size(1), -1, h, w}).mean(2);
    }

    HunyuanVaeConfig config;
    FusedVae fused;
    bool has_decoder = false;
    bool has_encoder = false;
};

Result<HunyuanVae> HunyuanVae::load(const HunyuanVaeConfig& config, const TensorSource& source, at::Device device,
                                    at::ScalarType compute, bool with_encoder, bool with_decoder,
                                    const DecodeTuning& tuning) {
    auto net = std::make_shared<Net>(config, device, compute);
    net->has_encoder = with_encoder;
    net->has_decoder = with_decoder;
    if (auto loaded = net->load(source, tuning); !loaded) return loaded.error();
    HunyuanVae vae;
    vae.net_ = std::move(net);
    return vae;
}

const HunyuanVaeConfig& HunyuanVae::config() const { return net_->config; }

int HunyuanVae::latents_per_call() const { return net_->fused.latents_per_call(); }

CausalDecodeStream HunyuanVae::decode_stream() const {
    if (!net_->has_decoder) throw std::logic_error("HunyuanVae: loaded without its decoder");
    return CausalDecodeStream(net_);
}

std::unique_ptr<VideoDecodeStream> HunyuanVae::open_stream() const {
    return std::make_unique<CausalDecodeStream>(decode_stream());
}

CausalEncodeStream HunyuanVae::encode_stream() const {
    if (!net_->has_encoder) throw std::logic_error("HunyuanVae: loaded without its encoder");
    return CausalEncodeStream(net_);
}

at::Tensor HunyuanVae::scaled(const at::Tensor& mean) const { return mean * net_->config.scale; }

} // namespace wander
