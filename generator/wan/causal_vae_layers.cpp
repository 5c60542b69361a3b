#include "generator/wan/causal_vae_layers.hpp"

#include "generator/wan/vae22_ops.hpp"

#include <ATen/ATen.h>

#include <limits>
#include <utility>

namespace wander {

using Kind = VaeLayer::Kind;

LayeredVaeNet::LayeredVaeNet(Sizes sizes, VaeHalf decoder, at::Device device, at::ScalarType compute, bool with_encoder,
                             bool with_decoder)
    : CausalVaeNet(device, compute, sizes.form.norm, sizes.form.eps),
      sizes_(std::move(sizes)),
      decoder_(std::move(decoder)),
      has_encoder_(with_encoder),
      has_decoder_(with_decoder) {
    const auto column = [this](const std::vector<double>& values) {
        const at::Tensor all = at::tensor(values, at::TensorOptions().dtype(at::kDouble));
        return all.view({all.size(0), 1, 1}).to(this->device(), wide());
    };
    mean_ = column(sizes_.latent_mean);
    deviation_ = column(sizes_.latent_std);
}

Result<void> LayeredVaeNet::load(const Shapes& shapes, const TensorSource& source, const DecodeTuning& tuning) {
    if (mean_.size(0) != sizes_.z || deviation_.size(0) != sizes_.z) {
        return Error{ErrorCode::bad_input, std::string(sizes_.what) + ": latent_mean and latent_std need " +
                                               std::to_string(sizes_.z) + " values each"};
    }
    if (has_decoder_) fused_ = FusedVae(decoder_, sizes_.form, device(), compute(), tuning);
    const bool side_by_side = !device().is_cuda() || fused() || sizes_.squares;
    if (auto loaded = load_parts(shapes, source, sizes_.what, side_by_side); !loaded) return loaded.error();
    if (fused()) fused_.prepare(convs());
    return {};
}

at::Tensor LayeredVaeNet::to_decoder(const at::Tensor& latents) const {
    const at::Tensor z = latents.to(device(), wide()) * deviation_ + mean_;
    return z.to(compute()).contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor LayeredVaeNet::normalised(const at::Tensor& latents) const {
    return (latents.to(device(), wide()) - mean_) / deviation_;
}

std::int64_t LayeredVaeNet::latents_per_part() const {
    // The fused path cuts where it is wide.
    return fused() ? std::numeric_limits<std::int64_t>::max() : CausalVaeNet::latents_per_part();
}

at::Tensor LayeredVaeNet::run_fused(const at::Tensor& z, VaePast& past, bool first) const {
    return fused_.decode(convs(), gammas(), z, past, first);
}

at::Tensor LayeredVaeNet::attention(const VaeLayer& layer, const at::Tensor& x, VaePast& past) const {
    const VaeNames& names = decoder_.names;
    const at::Tensor qkv = conv(layer.name + names.qkv, norm(layer.name + names.norm, x, false), past);
    return x + conv(layer.name + names.proj, attend_in_frames(qkv), past);
}

// The first latent of a video is one frame: it is not doubled, and it is no part of the time convolution's history.
at::Tensor LayeredVaeNet::up(const VaeLayer& layer, at::Tensor x, VaePast& past, bool first) const {
    if (layer.kind == Kind::up_time_space && !first) x = double_time(conv(layer.name + decoder_.names.time, x, past));
    return conv(layer.name + decoder_.names.space, at::upsample_nearest2d(x, {2 * x.size(2), 2 * x.size(3)}), past);
}

at::Tensor LayeredVaeNet::down(const VaeLayer& layer, const at::Tensor& x, VaePast& past) const {
    const VaeConv& space = part(layer.name + decoder_.names.space);
    at::Tensor y = at::conv2d(at::constant_pad_nd(x, {0, 1, 0, 1}), space.weight, space.bias, 2);
    if (layer.kind != Kind::down_time_space) return y;
    return halve_time_streamed(part(layer.name + decoder_.names.time), layer.name + decoder_.names.time, y, past);
}

at::Tensor LayeredVaeNet::run(const VaeLayer& layer, const at::Tensor& x, VaePast& past, bool first) const {
    const VaeNames& names = decoder_.names;
    switch (layer.kind) {
        case Kind::residual:
            return residual(
                {layer.name + names.norm1, layer.name + names.conv1, layer.name + names.norm2, layer.name + names.conv2,
                 layer.in == layer.out ? std::string() : layer.name + names.shortcut},
                x, past);
        case Kind::attention: return attention(layer, x, past);
        case Kind::up_space:
        case Kind::up_time_space: return up(layer, x, past, first);
        case Kind::down_space:
        case Kind::down_time_space: return down(layer, x, past);
    }
    return x;
}

at::Tensor LayeredVaeNet::run(const std::vector<VaeLayer>& layers, at::Tensor x, VaePast& past, bool first) const {
    for (const VaeLayer& layer : layers) x = run(layer, x, past, first);
    return x;
}

} // namespace wander
