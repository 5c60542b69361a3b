#include "generator/wan/vae22.hpp"

#include "generator/wan/strict_load.hpp"
#include "generator/wan/vae22_ops.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <stdexcept>

namespace wander {

using Kind = VaeLayer::Kind;

struct Wan22Vae::Weights {
    Vae22Config config;
    at::ScalarType compute = at::kFloat;
    at::Device device = at::kCPU;
    Vae22Half decoder;
    Vae22Half encoder;
    bool has_decoder = false;
    bool has_encoder = false;
    std::map<std::string, VaeConv> convs;
    std::map<std::string, at::Tensor> gammas; // float32 (float64 for double) [channels]
    at::Tensor mean;                          // wide type [z, 1, 1]
    at::Tensor deviation;

    at::ScalarType wide() const { return compute == at::kDouble ? at::kDouble : at::kFloat; }

    at::Tensor conv(const std::string& name, const at::Tensor& x, VaePast& past) const {
        return run_conv(convs.at(name), name, x, past);
    }
    at::Tensor norm(const std::string& name, const at::Tensor& x, bool silu = true) const {
        return norm_silu(x, gammas.at(name), VaeNorm::wan, 0, silu);
    }

    at::Tensor residual(const VaeLayer& layer, const at::Tensor& x, VaePast& past) const {
        at::Tensor h = conv(layer.name + ".residual.2", norm(layer.name + ".residual.0", x), past);
        h = conv(layer.name + ".residual.6", norm(layer.name + ".residual.3", h), past);
        return h.add_(layer.in == layer.out ? x : conv(layer.name + ".shortcut", x, past));
    }

    // Every frame on its own, one head over all pixels.
    at::Tensor attention(const VaeLayer& layer, const at::Tensor& x, VaePast& past) const {
        const std::int64_t n = x.size(0), c = x.size(1), h = x.size(2), w = x.size(3);
        const at::Tensor qkv = conv(layer.name + ".to_qkv", norm(layer.name + ".norm", x, false), past);
        const auto parts = qkv.permute({0, 2, 3, 1}).reshape({n, 1, h * w, 3 * c}).chunk(3, -1);
        const at::Tensor out = at::scaled_dot_product_attention(parts[0], parts[1], parts[2]);
        return x + conv(layer.name + ".proj", out.reshape({n, h, w, c}).permute({0, 3, 1, 2}), past);
    }

    // The first latent of a video is one frame: it is not doubled, and it is no part of the time convolution's history.
    at::Tensor up(const VaeLayer& layer, at::Tensor x, VaePast& past, bool first) const {
        if (layer.kind == Kind::up_time_space && !first) x = double_time(conv(layer.name + ".time_conv", x, past));
        return conv(layer.name + ".resample.1", at::upsample_nearest2d(x, {2 * x.size(2), 2 * x.size(3)}), past);
    }

    at::Tensor down(const VaeLayer& layer, const at::Tensor& x, VaePast& past) const {
        const VaeConv& space = convs.at(layer.name + ".resample.1");
        const at::Tensor y = at::conv2d(at::constant_pad_nd(x, {0, 1, 0, 1}), space.weight, space.bias, 2);
        if (layer.kind != Kind::down_time_space) return y;
        return halve_time_streamed(convs.at(layer.name + ".time_conv"), layer.name + ".time_conv", y, past);
    }

    at::Tensor run(const VaeLayer& layer, const at::Tensor& x, VaePast& past, bool first) const {
        switch (layer.kind) {
            case Kind::residual: return residual(layer, x, past);
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

    at::Tensor decode(const at::Tensor& latents, VaePast& past, bool first) const {
        at::Tensor x = conv(decoder.first.name, conv("conv2", latents, past), past);
        x = run(decoder.middle, x, past, first);
        for (const Vae22Level& level : decoder.levels) {
            const at::Tensor y = run(level.layers, x, past, first);
            x = level.shortcut ? y + repeat_up(x, level.out, level.time, level.space, first) : y;
        }
        x = conv(decoder.head.name, norm(decoder.head_norm, x), past);
        return from_column_patches(x, config.patch);
    }

    at::Tensor encode(const at::Tensor& frames, VaePast& past) const {
        at::Tensor x = to_column_patches(frames.to(device, compute), config.patch);
        x = conv(encoder.first.name, x, past);
        for (const Vae22Level& level : encoder.levels) {
            const at::Tensor y = run(level.layers, x, past, false);
            x = y + average_down(x, level.out, level.time, level.space);
        }
        x = run(encoder.middle, x, past, false);
        return conv("conv1", conv(encoder.head.name, norm(encoder.head_norm, x), past), past);
    }
};

struct Wan22Vae::DecodeStream::State {
    std::shared_ptr<const Weights> weights;
    VaePast past;
    bool started = false;
};

struct Wan22Vae::EncodeStream::State {
    std::shared_ptr<const Weights> weights;
    VaePast past;
    bool started = false;
};

Result<Wan22Vae> Wan22Vae::load(const Vae22Config& config, const TensorSource& source, at::Device device,
                                at::ScalarType compute, bool with_encoder, bool with_decoder) {
    const auto z = static_cast<std::size_t>(config.z);
    if (config.latent_mean.size() != z || config.latent_std.size() != z) {
        return Error{ErrorCode::bad_input,
                     "VAE: latent_mean and latent_std need " + std::to_string(config.z) + " values each"};
    }
    auto tensors = load_strictly(config.tensor_shapes(with_encoder, with_decoder), source, "Wan 2.2 VAE");
    if (!tensors) return tensors.error();
    auto weights = std::make_shared<Weights>();
    weights->config = config;
    weights->compute = compute;
    weights->device = device;
    weights->has_encoder = with_encoder;
    weights->has_decoder = with_decoder;
    if (with_decoder) weights->decoder = plan_vae22_decoder(config);
    if (with_encoder) weights->encoder = plan_vae22_encoder(config);
    const std::string gamma = ".gamma";
    const std::string weight = ".weight";
    for (const auto& [name, tensor] : *tensors) {
        if (name.ends_with(gamma)) {
            weights->gammas[name.substr(0, name.size() - gamma.size())] =
                tensor.to(device, weights->wide()).flatten().contiguous();
        } else if (name.ends_with(weight)) {
            const std::string base = name.substr(0, name.size() - weight.size());
            weights->convs[base] = make_conv(tensor, tensors->at(base + ".bias"), device, compute);
        }
    }
    const auto options = at::TensorOptions().dtype(at::kDouble);
    weights->mean = at::tensor(config.latent_mean, options).view({-1, 1, 1}).to(device, weights->wide());
    weights->deviation = at::tensor(config.latent_std, options).view({-1, 1, 1}).to(device, weights->wide());
    Wan22Vae vae;
    vae.weights_ = std::move(weights);
    return vae;
}

const Vae22Config& Wan22Vae::config() const { return weights_->config; }

Wan22Vae::DecodeStream Wan22Vae::decode_stream() const {
    if (!weights_->has_decoder) throw std::logic_error("Wan22Vae: loaded without its decoder");
    DecodeStream stream;
    stream.state = std::make_shared<DecodeStream::State>();
    stream.state->weights = weights_;
    return stream;
}

std::unique_ptr<VideoDecodeStream> Wan22Vae::open_stream() const {
    return std::make_unique<DecodeStream>(decode_stream());
}

Wan22Vae::EncodeStream Wan22Vae::encode_stream() const {
    if (!weights_->has_encoder) throw std::logic_error("Wan22Vae: loaded without its encoder");
    EncodeStream stream;
    stream.state = std::make_shared<EncodeStream::State>();
    stream.state->weights = weights_;
    return stream;
}

at::Tensor Wan22Vae::normalised_mode(const Moments& moments) const {
    return (moments.mean - weights_->mean) / weights_->deviation;
}

at::Tensor Wan22Vae::normalised_sample(const Moments& moments, const at::Tensor& noise) const {
    const at::Tensor spread = (0.5 * moments.log_variance.clamp(-30, 20)).exp();
    return (moments.mean + spread * noise.to(moments.mean.options()) - weights_->mean) / weights_->deviation;
}

std::int64_t Wan22Vae::DecodeStream::state_bytes() const {
    std::int64_t bytes = 0;
    for (const auto& [name, frames] : state->past) bytes += static_cast<std::int64_t>(frames.nbytes());
    return bytes;
}

void Wan22Vae::DecodeStream::reset() {
    state->past.clear();
    state->started = false;
}

std::map<std::string, at::Tensor> Wan22Vae::DecodeStream::save() const {
    std::map<std::string, at::Tensor> saved;
    for (const auto& [name, frames] : state->past) saved.emplace(name, frames.clone());
    return saved;
}

void Wan22Vae::DecodeStream::restore(const std::map<std::string, at::Tensor>& saved) {
    reset();
    const Weights& weights = *state->weights;
    for (const auto& [name, frames] : saved) {
        state->past.emplace(name, frames.to(weights.device, weights.compute).clone(at::MemoryFormat::ChannelsLast));
    }
    state->started = !saved.empty();
}

at::Tensor Wan22Vae::DecodeStream::decode(const at::Tensor& latents) {
    const Weights& weights = *state->weights;
    at::Tensor z = latents.to(weights.device, weights.wide()) * weights.deviation + weights.mean;
    z = z.to(weights.compute).contiguous(at::MemoryFormat::ChannelsLast);
    std::vector<at::Tensor> parts;
    const std::int64_t count = z.size(0);
    std::int64_t done = 0;
    // On a GPU one latent at a time: at 704 x 1280 the widest activations of one are near half a gigabyte.
    const std::int64_t step = weights.device.is_cuda() ? 1 : count;
    while (done < count) {
        const std::int64_t part = state->started ? std::min(step, count - done) : 1;
        parts.push_back(weights.decode(z.narrow(0, done, part), state->past, !state->started));
        state->started = true;
        done += part;
    }
    return parts.size() == 1 ? parts.front() : at::cat(parts);
}

void Wan22Vae::EncodeStream::reset() {
    state->past.clear();
    state->started = false;
}

Wan22Vae::Moments Wan22Vae::EncodeStream::encode(const at::Tensor& frames) {
    const Weights& weights = *state->weights;
    const std::int64_t count = frames.size(0);
    std::vector<at::Tensor> parts;
    std::int64_t done = 0;
    while (done < count) {
        const std::int64_t part = state->started ? 4 : 1;
        if (part > count - done) throw std::invalid_argument("Wan22Vae: a video has 1 + 4k frames");
        parts.push_back(weights.encode(frames.narrow(0, done, part), state->past));
        state->started = true;
        done += part;
    }
    const at::Tensor moments = at::cat(parts).to(weights.wide());
    return {moments.narrow(1, 0, weights.config.z), moments.narrow(1, weights.config.z, weights.config.z)};
}

} // namespace wander
