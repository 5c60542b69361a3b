#include "generator/wan/vae.hpp"

#include "generator/wan/vae_fused.hpp"
#include "generator/wan/vae_ops.hpp"
#include "generator/wan/vae_plan.hpp"

#include <ATen/ATen.h>

#include <stdexcept>

namespace wander {

using Kind = VaeLayer::Kind;

namespace {

// See DecodeTuning.
void choose_by_memory(DecodeTuning& tuning) {
    constexpr std::int64_t kFrame = 400'000; // 480x832
    const bool roomy = decoder_has_room();
    if (tuning.pixels_per_pass == 0) tuning.pixels_per_pass = roomy ? 4 * kFrame : kFrame;
    if (tuning.latents_per_call == 0) tuning.latents_per_call = roomy ? 3 : 1;
}

} // namespace

struct WanVae::Weights {
    VaeConfig config;
    at::ScalarType compute = at::kFloat;
    at::Device device = at::kCPU;
    VaeHalf decoder;
    VaeHalf encoder;
    bool has_decoder = false;
    bool has_encoder = false;
    DecodeTuning tuning;
    bool fused = false; // the decoder goes through vae_fused.hpp
    std::map<std::string, VaeConv> convs;
    std::map<std::string, at::Tensor> gammas; // float32 (float64 for double) [channels]
    at::Tensor mean;                          // wide type [z, 1, 1]
    at::Tensor deviation;

    at::ScalarType wide() const { return compute == at::kDouble ? at::kDouble : at::kFloat; }
    VaeNorm norm_kind() const {
        return config.layout == VaeConfig::Layout::wan21 ? VaeNorm::wan : VaeNorm::mean_square;
    }

    at::Tensor conv(const std::string& name, const at::Tensor& x, VaePast& past) const {
        return run_conv(convs.at(name), name, x, past);
    }
    at::Tensor norm(const std::string& name, const at::Tensor& x, bool silu = true) const {
        return norm_silu(x, gammas.at(name), norm_kind(), config.eps, silu);
    }

    at::Tensor residual(const VaeLayer& layer, const at::Tensor& x, VaePast& past) const {
        at::Tensor h = conv(layer.name + ".residual.2", norm(layer.name + ".residual.0", x), past);
        h = conv(layer.name + ".residual.6", norm(layer.name + ".residual.3", h), past);
        return h.add_(layer.in == layer.out ? x : conv(layer.name + ".shortcut", x, past));
    }

    at::Tensor attention(const VaeLayer& layer, const at::Tensor& x, VaePast& past) const {
        const at::Tensor qkv = conv(layer.name + ".to_qkv", norm(layer.name + ".norm", x, false), past);
        return x + conv(layer.name + ".proj", attend_in_frames(qkv), past);
    }

    at::Tensor up(const VaeLayer& layer, at::Tensor x, VaePast& past, bool first) const {
        // The first latent of a video is one frame: no doubling, and it is no part of the time convolution's history.
        if (layer.kind == Kind::up_time_space && !first) x = double_time(conv(layer.name + ".time_conv", x, past));
        const at::Tensor large = at::upsample_nearest2d(x, {2 * x.size(2), 2 * x.size(3)});
        return conv(layer.name + ".resample.1", large, past);
    }

    at::Tensor down(const VaeLayer& layer, const at::Tensor& x) const {
        const VaeConv& space = convs.at(layer.name + ".resample.1");
        const at::Tensor y = at::conv2d(at::constant_pad_nd(x, {0, 1, 0, 1}), space.weight, space.bias, 2);
        return layer.kind == Kind::down_time_space ? halve_time(convs.at(layer.name + ".time_conv"), y) : y;
    }

    at::Tensor run(const VaeHalf& half, at::Tensor x, VaePast& past, bool first) const {
        x = conv(half.first.name, x, past);
        for (const VaeLayer& layer : half.layers) {
            switch (layer.kind) {
                case Kind::residual: x = residual(layer, x, past); break;
                case Kind::attention: x = attention(layer, x, past); break;
                case Kind::up_space:
                case Kind::up_time_space: x = up(layer, x, past, first); break;
                case Kind::down_space:
                case Kind::down_time_space: x = down(layer, x); break;
            }
        }
        return conv(half.head.name, norm(half.head_norm, x), past);
    }

    at::Tensor decode(const at::Tensor& z, VaePast& past, bool first) const {
        if (!fused) return from_patches(run(decoder, z, past, first), config.patch);
        return decode_fused(
            {&decoder, &convs, &gammas, norm_kind(), config.eps, config.patch, false, tuning.pixels_per_pass}, z, past,
            first);
    }
};

struct WanVae::DecodeStream::State {
    std::shared_ptr<const Weights> weights;
    VaePast past;
    bool started = false;
};

Result<WanVae> WanVae::load(const VaeConfig& config, const TensorSource& source, at::Device device,
                            at::ScalarType compute, bool with_encoder, bool with_decoder, const DecodeTuning& tuning) {
    if (config.latent_mean.size() != static_cast<std::size_t>(config.z) ||
        config.latent_std.size() != static_cast<std::size_t>(config.z)) {
        return Error{ErrorCode::bad_input,
                     "VAE: latent_mean and latent_std need " + std::to_string(config.z) + " values each"};
    }
    auto weights = std::make_shared<Weights>();
    weights->config = config;
    weights->compute = compute;
    weights->device = device;
    weights->has_encoder = with_encoder;
    weights->has_decoder = with_decoder;
    if (with_decoder) weights->decoder = plan_decoder(config);
    if (with_encoder) weights->encoder = plan_encoder(config);
    weights->tuning = tuning;
    weights->fused = with_decoder && device.is_cuda() && compute == at::kBFloat16 && !tuning.plain &&
                     fused_decoder_serves(weights->decoder);
    const auto shapes = config.tensor_shapes(with_encoder, with_decoder);
    for (const auto& [name, shape] : shapes) {
        if (name.ends_with(".bias")) continue; // taken together with its weight
        auto tensor = source(name, shape);
        if (!tensor) return tensor.error();
        if (name.ends_with(".gamma")) {
            weights->gammas[name.substr(0, name.size() - 6)] =
                tensor->to(device, weights->wide()).flatten().contiguous();
            continue;
        }
        const std::string base = name.substr(0, name.size() - 7);
        auto bias = source(base + ".bias", shapes.at(base + ".bias"));
        if (!bias) return bias.error();
        weights->convs[base] = make_conv(*tensor, *bias, device, compute, !device.is_cuda() || weights->fused);
    }
    if (weights->fused) {
        prepare_fused(weights->decoder, false, weights->convs);
        choose_by_memory(weights->tuning);
    }
    const auto options = at::TensorOptions().dtype(at::kDouble);
    weights->mean = at::tensor(config.latent_mean, options).view({-1, 1, 1}).to(device, weights->wide());
    weights->deviation = at::tensor(config.latent_std, options).view({-1, 1, 1}).to(device, weights->wide());
    WanVae vae;
    vae.weights_ = std::move(weights);
    return vae;
}

int WanVae::latents_per_call() const { return weights_->fused ? weights_->tuning.latents_per_call : 1; }

const VaeConfig& WanVae::config() const { return weights_->config; }

WanVae::DecodeStream WanVae::decode_stream() const {
    if (!weights_->has_decoder) throw std::logic_error("WanVae: loaded without its decoder");
    DecodeStream stream;
    stream.state = std::make_shared<DecodeStream::State>();
    stream.state->weights = weights_;
    return stream;
}

std::unique_ptr<VideoDecodeStream> WanVae::open_stream() const {
    return std::make_unique<DecodeStream>(decode_stream());
}

std::int64_t WanVae::DecodeStream::state_bytes() const {
    std::int64_t bytes = 0;
    for (const auto& [name, frames] : state->past) bytes += static_cast<std::int64_t>(frames.nbytes());
    return bytes;
}

void WanVae::DecodeStream::reset() {
    state->past.clear();
    state->started = false;
}

at::Tensor WanVae::DecodeStream::decode(const at::Tensor& latents) {
    const Weights& weights = *state->weights;
    at::Tensor z = latents.to(weights.device, weights.wide()) * weights.deviation + weights.mean;
    z = z.to(weights.compute).contiguous(at::MemoryFormat::ChannelsLast);
    if (weights.config.layout == VaeConfig::Layout::wan21) z = weights.conv("conv2", z, state->past);
    std::vector<at::Tensor> parts;
    const auto run = [&](std::int64_t begin, std::int64_t count, bool first) {
        parts.push_back(weights.decode(z.narrow(0, begin, count), state->past, first));
    };
    std::int64_t done = 0;
    if (!state->started && z.size(0) > 0) {
        run(0, 1, true);
        state->started = true;
        done = 1;
    }
    // The plain path on a GPU one latent at a time: a 480p latent's widest activations are near a gigabyte already.
    const std::int64_t step = weights.device.is_cuda() && !weights.fused ? 1 : z.size(0) - done;
    for (; done < z.size(0); done += step) run(done, std::min(step, z.size(0) - done), false);
    return parts.size() == 1 ? parts.front() : at::cat(parts);
}

at::Tensor WanVae::encode(const at::Tensor& frames) const {
    const Weights& weights = *weights_;
    if (!weights.has_encoder) throw std::logic_error("WanVae: loaded without its encoder");
    VaePast past; // a whole clip with zeros before it; nothing is kept
    at::Tensor x = to_patches(frames.to(weights.device, weights.compute), weights.config.patch);
    x = weights.run(weights.encoder, x, past, true);
    if (weights.config.layout == VaeConfig::Layout::wan21) x = weights.conv("conv1", x, past);
    const at::Tensor mean = x.narrow(1, 0, weights.config.z).to(weights.wide());
    return (mean - weights.mean) / weights.deviation;
}

} // namespace wander
