#include "generator/wan/vae22.hpp"

#include "generator/wan/causal_vae_layers.hpp"
#include "generator/wan/vae22_ops.hpp"

#include <ATen/ATen.h>

#include <stdexcept>

namespace wander {

namespace {

LayeredVaeNet::Sizes sizes_of(const Vae22Config& config) {
    LayeredVaeNet::Sizes sizes;
    sizes.what = "Wan 2.2 VAE";
    sizes.z = config.z;
    sizes.form.patch = config.patch;
    sizes.form.column_patches = true;
    sizes.squares = true;
    sizes.latent_mean = config.latent_mean;
    sizes.latent_std = config.latent_std;
    // A frame of 704x1280 before its patches are laid out, where it is twice as wide as at its end. Several latents a
    // call save 2 to 5 %, less than the first picture of a chunk would come later.
    sizes.form.pixels_per_pass = 2 * 352 * 640;
    sizes.form.roomy_passes = 2;
    return sizes;
}

} // namespace

struct Wan22Vae::Net : LayeredVaeNet {
    Net(const Vae22Config& sizes, at::Device device, at::ScalarType compute, bool with_encoder, bool with_decoder)
        : LayeredVaeNet(sizes_of(sizes), flat_decoder(plan_vae22_decoder(sizes)), device, compute, with_encoder,
                        with_decoder),
          config(sizes),
          levels(plan_vae22_decoder(sizes)),
          encoder(plan_vae22_encoder(sizes)) {}

    at::Tensor decode_part(const at::Tensor& z, VaePast& past, bool first) const override {
        const at::Tensor in = conv("conv2", z, past);
        if (fused()) return run_fused(in, past, first);
        at::Tensor x = conv(levels.first.name, in, past);
        x = run(levels.middle, x, past, first);
        for (const Vae22Level& level : levels.levels) {
            const at::Tensor y = run(level.layers, x, past, first);
            x = level.shortcut ? y + repeat_up(x, level.out, level.time, level.space, first) : y;
        }
        x = conv(levels.head.name, norm(levels.head_norm, x), past);
        return from_column_patches(x, config.patch);
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
    Vae22Half levels; // of the decoder
    Vae22Half encoder;
};

Result<Wan22Vae> Wan22Vae::load(const Vae22Config& config, const TensorSource& source, at::Device device,
                                at::ScalarType compute, bool with_encoder, bool with_decoder,
                                const DecodeTuning& tuning) {
    auto net = std::make_shared<Net>(config, device, compute, with_encoder, with_decoder);
    if (auto loaded = net->load(config.tensor_shapes(with_encoder, with_decoder), source, tuning); !loaded)
        return loaded.error();
    Wan22Vae vae;
    vae.net_ = std::move(net);
    return vae;
}

const Vae22Config& Wan22Vae::config() const { return net_->config; }

int Wan22Vae::latents_per_call() const { return net_->latents_per_call(); }

CausalDecodeStream Wan22Vae::decode_stream() const {
    if (!net_->has_decoder()) throw std::logic_error("Wan22Vae: loaded without its decoder");
    return CausalDecodeStream(net_);
}

std::unique_ptr<VideoDecodeStream> Wan22Vae::open_stream() const {
    return std::make_unique<CausalDecodeStream>(decode_stream());
}

CausalEncodeStream Wan22Vae::encode_stream() const {
    if (!net_->has_encoder()) throw std::logic_error("Wan22Vae: loaded without its encoder");
    return CausalEncodeStream(net_);
}

at::Tensor Wan22Vae::normalised(const at::Tensor& latents) const { return net_->normalised(latents); }

} // namespace wander
