#include "generator/wan/vae.hpp"

#include "generator/wan/causal_vae_layers.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <stdexcept>
#include <vector>

namespace wander {

namespace {

LayeredVaeNet::Sizes sizes_of(const VaeConfig& config) {
    LayeredVaeNet::Sizes sizes;
    sizes.what = "VAE";
    sizes.z = config.z;
    sizes.form.norm = config.layout == VaeConfig::Layout::wan21 ? VaeNorm::wan : VaeNorm::mean_square;
    sizes.form.eps = config.eps;
    sizes.form.patch = config.patch;
    sizes.latent_mean = config.latent_mean;
    sizes.latent_std = config.latent_std;
    sizes.form.pixels_per_pass = 400'000; // a frame of 480x832
    sizes.form.roomy_passes = 4;
    sizes.form.roomy_latents = 3;
    return sizes;
}

} // namespace

struct WanVae::Net : LayeredVaeNet {
    Net(const VaeConfig& sizes, at::Device device, at::ScalarType compute, bool with_encoder, bool with_decoder)
        : LayeredVaeNet(sizes_of(sizes), with_decoder ? plan_decoder(sizes) : VaeHalf{}, device, compute, with_encoder,
                        with_decoder),
          config(sizes),
          encoder(with_encoder ? plan_encoder(sizes) : VaeHalf{}) {}

    at::Tensor decode_part(const at::Tensor& z, VaePast& past, bool first) const override {
        const at::Tensor in = config.layout == VaeConfig::Layout::wan21 ? conv("conv2", z, past) : z;
        if (fused()) return run_fused(in, past, first);
        return from_patches(run_half(decoder(), in, past, first), config.patch);
    }

    // Any number of frames that a video may begin with or go on by.
    at::Tensor encode_part(const at::Tensor& frames, VaePast& past) const override {
        const at::Tensor x = run_half(encoder, to_patches(frames, config.patch), past, false);
        return config.layout == VaeConfig::Layout::wan21 ? conv("conv1", x, past) : x;
    }

    at::Tensor run_half(const VaeHalf& half, const at::Tensor& x, VaePast& past, bool first) const {
        const at::Tensor y = run(half.layers, conv(half.first.name, x, past), past, first);
        return conv(half.head.name, norm(half.head_norm, y), past);
    }

    VaeConfig config;
    VaeHalf encoder;
};

Result<WanVae> WanVae::load(const VaeConfig& config, const TensorSource& source, at::Device device,
                            at::ScalarType compute, bool with_encoder, bool with_decoder, const DecodeTuning& tuning) {
    auto net = std::make_shared<Net>(config, device, compute, with_encoder, with_decoder);
    if (auto loaded = net->load(config.tensor_shapes(with_encoder, with_decoder), source, tuning); !loaded)
        return loaded.error();
    WanVae vae;
    vae.net_ = std::move(net);
    return vae;
}

int WanVae::latents_per_call() const { return net_->latents_per_call(); }

const VaeConfig& WanVae::config() const { return net_->config; }

CausalDecodeStream WanVae::decode_stream() const {
    if (!net_->has_decoder()) throw std::logic_error("WanVae: loaded without its decoder");
    return CausalDecodeStream(net_);
}

std::unique_ptr<VideoDecodeStream> WanVae::open_stream() const {
    return std::make_unique<CausalDecodeStream>(decode_stream());
}

at::Tensor WanVae::encode(const at::Tensor& frames, int latents_at_once) const {
    if (!net_->has_encoder()) throw std::logic_error("WanVae: loaded without its encoder");
    VaePast past; // zeros before the clip
    const std::int64_t step = std::int64_t{4} * latents_at_once;
    std::vector<at::Tensor> moments;
    for (std::int64_t at = 0; at < frames.size(0);) {
        const std::int64_t count = std::min(at == 0 ? step - 3 : step, frames.size(0) - at);
        const at::Tensor part = frames.narrow(0, at, count).to(net_->device(), net_->compute());
        moments.push_back(net_->encode_part(part, past));
        at += count;
    }
    return net_->normalised(at::cat(moments).narrow(1, 0, net_->config.z));
}

} // namespace wander
