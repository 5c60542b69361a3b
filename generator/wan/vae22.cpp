#include "generator/wan/vae22.hpp"

#include "generator/wan/vae22_ops.hpp"
#include "generator/wan/vae_fused.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace wander {

using Kind = VaeLayer::Kind;

namespace {

// See DecodeTuning. A frame of 704x1280 before its patches are laid out, where it is twice as wide as at its end.
constexpr std::int64_t kWideFrame = 2 * 352 * 640;

} // namespace

struct Wan22Vae::Net : CausalVaeNet {
    Net(const Vae22Config& sizes, at::Device device, at::ScalarType compute)
        : CausalVaeNet(device, compute),
          config(sizes),
          decoder(plan_vae22_decoder(sizes)),
          encoder(plan_vae22_encoder(sizes)),
          flat(flat_decoder(decoder)) {
        const auto options = at::TensorOptions().dtype(at::kDouble);
        mean = at::tensor(config.latent_mean, options).view({-1, 1, 1}).to(device, wide());
        deviation = at::tensor(config.latent_std, options).view({-1, 1, 1}).to(device, wide());
    }

    Result<void> load(const TensorSource& source, const DecodeTuning& wanted) {
        tuning = wanted;
        auto loaded = load_parts(config.tensor_shapes(has_encoder, has_decoder), source, "Wan 2.2 VAE");
        fused = loaded && has_decoder && device().is_cuda() && compute() == at::kBFloat16 && !tuning.plain &&
                fused_decoder_serves(flat);
        if (!fused) return loaded;
        prepare_fused(flat, true, convs());
        if (tuning.pixels_per_pass == 0) tuning.pixels_per_pass = (decoder_has_room() ? 4 : 1) * kWideFrame;
        return loaded;
    }

    at::Tensor attention(const VaeLayer& layer, const at::Tensor& x, VaePast& past) const {
        const at::Tensor qkv = conv(layer.name + ".to_qkv", norm(layer.name + ".norm", x, false), past);
        return x + conv(layer.name + ".proj", attend_in_frames(qkv), past);
    }

    // The first latent of a video is one frame: it is not doubled, and it is no part of the time convolution's history.
    at::Tensor up(const VaeLayer& layer, at::Tensor x, VaePast& past, bool first) const {
        if (layer.kind == Kind::up_time_space && !first) x = double_time(conv(layer.name + ".time_conv", x, past));
        return conv(layer.name + ".resample.1", at::upsample_nearest2d(x, {2 * x.size(2), 2 * x.size(3)}), past);
    }

    at::Tensor down(const VaeLayer& layer, const at::Tensor& x, VaePast& past) const {
        const VaeConv& space = part(layer.name + ".resample.1");
        at::Tensor y = at::conv2d(at::constant_pad_nd(x, {0, 1, 0, 1}), space.weight, space.bias, 2);
        if (layer.kind != Kind::down_time_space) return y;
        return halve_time_streamed(part(layer.name + ".time_conv"), layer.name + ".time_conv", y, past);
    }

    at::Tensor run(const VaeLayer& layer, const at::Tensor& x, VaePast& past, bool first) const {
        switch (layer.kind) {
            case Kind::residual:
                return residual(
                    {layer.name + ".residual.0", layer.name + ".residual.2", layer.name + ".residual.3",
                     layer.name + ".residual.6", layer.in == layer.out ? std::string() : layer.name + ".shortcut"},
                    x, past);
            case Kind::attention: return attention(layer, x, past);
            case Kind::up_space:
            case Kind::up_time_space: return up(layer, x, past, first);
            case Kind::down_space:
            case Kind::down_time_space: return down(layer, x, past);
        }
        return x;
    }
    at::Tensor run(const std::vector<VaeLayer>& layers, at::Tensor x, VaePast& past, bool first) const {
        for (const VaeLayer& layer : layers) x = run(layer, x, past, first);
        return x;
    }

    at::Tensor to_decoder(const at::Tensor& latents) const override {
        const at::Tensor z = latents.to(device(), wide()) * deviation + mean;
        return z.to(compute()).contiguous(at::MemoryFormat::ChannelsLast);
    }

    at::Tensor decode_part(const at::Tensor& z, VaePast& past, bool first) const override {
        const at::Tensor in = conv("conv2", z, past);
        if (fused) {
            return decode_fused(
                {&flat, &convs(), &gammas(), VaeNorm::wan, 0, config.patch, true, tuning.pixels_per_pass}, in, past,
                first);
        }
        at::Tensor x = conv(decoder.first.name, in, past);
        x = run(decoder.middle, x, past, first);
        for (const Vae22Level& level : decoder.levels) {
            const at::Tensor y = run(level.layers, x, past, first);
            x = level.shortcut ? y + repeat_up(x, level.out, level.time, level.space, first) : y;
        }
        x = conv(decoder.head.name, norm(decoder.head_norm, x), past);
        return from_column_patches(x, config.patch);
    }

    std::int64_t latents_per_part() const override {
        return fused ? std::numeric_limits<std::int64_t>::max() : CausalVaeNet::latents_per_part();
    }

    at::Tensor encode_part(const at::Tensor& frames, VaePast& past) const override {
        at::Tensor x = conv(encoder.first.name, to_column_patches(frames, config.patch), past);
        for (const Vae22Level& level : encoder.levels) {
            const at::Tensor y = run(level.layers, x, past, false);
            x = y + average_down(x, level.out, level.time, level.space);
        }
        x = run(encoder.middle, x, past, false);
        return conv("conv1", conv(encoder.head.name, norm(encoder.head_norm, x), past), past);
    }

    Vae22Config config;
    Vae22Half decoder;
    Vae22Half encoder;
    VaeHalf flat; // decoder
    DecodeTuning tuning;
    bool fused = false; // the decoder goes through vae_fused.hpp
    bool has_decoder = false;
    bool has_encoder = false;
    at::Tensor mean; // wide type [z, 1, 1]
    at::Tensor deviation;
};

Result<Wan22Vae> Wan22Vae::load(const Vae22Config& config, const TensorSource& source, at::Device device,
                                at::ScalarType compute, bool with_encoder, bool with_decoder,
                                const DecodeTuning& tuning) {
    const auto z = static_cast<std::size_t>(config.z);
    if (config.latent_mean.size() != z || config.latent_std.size() != z) {
        return Error{ErrorCode::bad_input,
                     "VAE: latent_mean and latent_std need " + std::to_string(config.z) + " values each"};
    }
    auto net = std::make_shared<Net>(config, device, compute);
    net->has_encoder = with_encoder;
    net->has_decoder = with_decoder;
    if (auto loaded = net->load(source, tuning); !loaded) return loaded.error();
    Wan22Vae vae;
    vae.net_ = std::move(net);
    return vae;
}

const Vae22Config& Wan22Vae::config() const { return net_->config; }

int Wan22Vae::latents_per_call() const { return std::max(1, net_->tuning.latents_per_call); }

CausalDecodeStream Wan22Vae::decode_stream() const {
    if (!net_->has_decoder) throw std::logic_error("Wan22Vae: loaded without its decoder");
    return CausalDecodeStream(net_);
}

std::unique_ptr<VideoDecodeStream> Wan22Vae::open_stream() const {
    return std::make_unique<CausalDecodeStream>(decode_stream());
}

CausalEncodeStream Wan22Vae::encode_stream() const {
    if (!net_->has_encoder) throw std::logic_error("Wan22Vae: loaded without its encoder");
    return CausalEncodeStream(net_);
}

at::Tensor Wan22Vae::normalised(const at::Tensor& latents) const {
    return (latents.to(net_->device(), net_->wide()) - net_->mean) / net_->deviation;
}

} // namespace wander
