#include "generator/train/train_vae.hpp"

#include "generator/train/picture_norm.hpp"
#include "generator/wan/vae_plan.hpp"

#include <ATen/ATen.h>

#include <cassert>
#include <cmath>

namespace wander::train {

namespace {

// One call: parameters in the compute type.
class Pass {
public:
    Pass(const Parameters& parameters, at::ScalarType compute, double eps)
        : parameters_(parameters), compute_(compute), eps_(eps) {}

    at::Tensor run(const VaeHalf& half, const at::Tensor& in, bool first) const {
        at::Tensor x = causal(half.first.name, half.first.taps, in);
        for (const VaeLayer& layer : half.layers) x = run(layer, x, first);
        return causal(half.head.name, half.head.taps, norm_silu(half.head_norm, x));
    }

private:
    at::Tensor parameter(const std::string& name) const { return parameters_.at(name).to(compute_); }

    at::Tensor norm_silu(const std::string& name, const at::Tensor& x) const {
        return norm_silu_rows(x, parameters_.at(name + ".gamma").flatten(), eps_);
    }

    // Frame t with the two before it, zeros before the clip: [B, T, H, W, 3 C], the oldest first.
    static at::Tensor with_past(const at::Tensor& x) {
        const std::int64_t frames = x.size(1);
        const at::Tensor padded = at::constant_pad_nd(x, {0, 0, 0, 0, 0, 0, 2, 0});
        return at::cat({padded.narrow(1, 0, frames), padded.narrow(1, 1, frames), x}, 4);
    }

    at::Tensor square(const std::string& name, const at::Tensor& weight, const at::Tensor& x, std::int64_t stride,
                      std::int64_t padding) const {
        // Channels last in memory, seen as channels first.
        const at::Tensor pictures = x.flatten(0, 1).permute({0, 3, 1, 2});
        const at::Tensor y = at::conv2d(pictures, weight.contiguous(at::MemoryFormat::ChannelsLast),
                                        parameter(name + ".bias"), stride, padding);
        const at::Tensor dense = y.permute({0, 2, 3, 1}).contiguous();
        return dense.view({x.size(0), x.size(1), dense.size(1), dense.size(2), dense.size(3)});
    }

    // 3 x 3 pixels and one or three frames.
    at::Tensor causal(const std::string& name, int taps, const at::Tensor& x) const {
        // [out, in, taps, 3, 3] -> [out, taps * in, 3, 3]
        const at::Tensor weight = parameter(name + ".weight").permute({0, 2, 1, 3, 4}).flatten(1, 2);
        return square(name, weight, taps == 1 ? x : with_past(x), 1, 1);
    }

    // A convolution over three frames of one pixel each is a matrix.
    at::Tensor over_time(const std::string& name, const at::Tensor& side_by_side) const {
        const at::Tensor weight = parameter(name + ".weight").flatten(2).transpose(1, 2).flatten(1, 2);
        return at::linear(side_by_side, weight, parameter(name + ".bias"));
    }

    at::Tensor residual(const VaeLayer& layer, const at::Tensor& x) const {
        assert(layer.in == layer.out); // the embedded layout has no shortcuts
        at::Tensor h = causal(layer.name + ".residual.2", layer.taps, norm_silu(layer.name + ".residual.0", x));
        h = causal(layer.name + ".residual.6", layer.taps, norm_silu(layer.name + ".residual.3", h));
        return x + h;
    }

    // Half the size, then half the frames but for the first, which passes by.
    at::Tensor down(const VaeLayer& layer, const at::Tensor& x) const {
        const at::Tensor padded = at::constant_pad_nd(x, {0, 0, 0, 1, 0, 1});
        at::Tensor y = square(layer.name + ".resample.1", parameter(layer.name + ".resample.1.weight"), padded, 2, 0);
        const std::int64_t frames = y.size(1);
        if (frames == 1) return y;
        const at::Tensor windows =
            at::cat({y.slice(1, 0, frames - 2, 2), y.slice(1, 1, frames - 1, 2), y.slice(1, 2, frames, 2)}, 4);
        return at::cat({y.narrow(1, 0, 1), over_time(layer.name + ".time_conv", windows)}, 1);
    }

    at::Tensor twice(const VaeLayer& layer, const at::Tensor& x) const {
        const at::Tensor y = over_time(layer.name + ".time_conv", with_past(x));
        return at::stack(y.chunk(2, 4), 2).flatten(1, 2);
    }

    // Twice the frames, then twice the size. The first latent of a video is one frame, and no part of the others' past.
    at::Tensor up(const VaeLayer& layer, at::Tensor x, bool first) const {
        if (!first) {
            x = twice(layer, x);
        } else if (x.size(1) > 1) {
            x = at::cat({x.narrow(1, 0, 1), twice(layer, x.narrow(1, 1, x.size(1) - 1))}, 1);
        }
        const at::Tensor pictures = x.flatten(0, 1).permute({0, 3, 1, 2});
        const at::Tensor large = at::upsample_nearest2d(pictures, {2 * x.size(2), 2 * x.size(3)});
        const at::Tensor dense = large.permute({0, 2, 3, 1}).contiguous();
        return square(layer.name + ".resample.1", parameter(layer.name + ".resample.1.weight"),
                      dense.view({x.size(0), x.size(1), dense.size(1), dense.size(2), dense.size(3)}), 1, 1);
    }

    at::Tensor run(const VaeLayer& layer, const at::Tensor& x, bool first) const {
        switch (layer.kind) {
            case VaeLayer::Kind::residual: return residual(layer, x);
            case VaeLayer::Kind::up_time_space: return up(layer, x, first);
            case VaeLayer::Kind::down_time_space: return down(layer, x);
            case VaeLayer::Kind::attention:
            case VaeLayer::Kind::up_space:
            case VaeLayer::Kind::down_space: break;
        }
        assert(false && "not in the embedded layout");
        return x;
    }

    const Parameters& parameters_;
    at::ScalarType compute_;
    double eps_;
};

// [B, T, H, W, 3] -> [B, T, H / p, W / p, p p 3], channel (dy p + dx) 3 + colour.
at::Tensor pixels_to_channels(const at::Tensor& x, std::int64_t p) {
    const std::int64_t b = x.size(0), t = x.size(1), h = x.size(2) / p, w = x.size(3) / p;
    return x.reshape({b * t, h, p, w, p, 3}).permute({0, 1, 3, 2, 4, 5}).reshape({b, t, h, w, p * p * 3});
}

at::Tensor channels_to_pixels(const at::Tensor& x, std::int64_t p) {
    const std::int64_t b = x.size(0), t = x.size(1), h = x.size(2), w = x.size(3);
    return x.reshape({b * t, h, w, p, p, 3}).permute({0, 1, 3, 2, 4, 5}).reshape({b, t, h * p, w * p, 3});
}

at::ScalarType wide(at::ScalarType compute) { return compute == at::kDouble ? at::kDouble : at::kFloat; }

at::Tensor column(const std::vector<double>& values, const at::Tensor& like) {
    return at::tensor(values, at::TensorOptions().dtype(at::kDouble))
        .to(like.device(), like.scalar_type())
        .view({-1, 1, 1});
}

} // namespace

TrainVae::TrainVae(VaeConfig config, Parameters& parameters, at::ScalarType compute)
    : config_(std::move(config)), parameters_(&parameters), compute_(compute) {
    assert(config_.layout == VaeConfig::Layout::embedded);
}

at::Device TrainVae::device() const { return parameters_->device(); }

VaeMoments5 TrainVae::moments(const at::Tensor& frames) const {
    assert(frames.dim() == 5 && frames.size(1) % 4 == 1);
    at::Tensor in = frames.to(device());
    if (in.scalar_type() == at::kByte) in = in.to(wide(compute_)).div_(127.5).sub_(1);
    in = pixels_to_channels(in.to(compute_), config_.patch);
    const at::Tensor out = Pass(*parameters_, compute_, config_.eps).run(plan_encoder(config_), in, true);
    const auto halves = out.to(wide(compute_)).permute({0, 1, 4, 2, 3}).chunk(2, 2);
    return {halves[0], halves[1]};
}

at::Tensor TrainVae::normalised(const at::Tensor& means) const {
    return (means - column(config_.latent_mean, means)) / column(config_.latent_std, means);
}

at::Tensor TrainVae::encode(const at::Tensor& frames) const { return normalised(moments(frames).mean); }

at::Tensor TrainVae::decode(const at::Tensor& latents, bool first) const {
    const at::Tensor z = latents.to(device(), wide(compute_));
    return decode_unnormalised(z * column(config_.latent_std, z) + column(config_.latent_mean, z), first);
}

at::Tensor TrainVae::decode_unnormalised(const at::Tensor& means, bool first) const {
    const at::Tensor in = means.to(device(), compute_).permute({0, 1, 3, 4, 2}).contiguous();
    const at::Tensor out = Pass(*parameters_, compute_, config_.eps).run(plan_decoder(config_), in, first);
    return channels_to_pixels(out.to(wide(compute_)), config_.patch);
}

void TrainVae::set_latent_scale(std::vector<double> mean, std::vector<double> deviation) {
    assert(mean.size() == static_cast<std::size_t>(config_.z) && deviation.size() == mean.size());
    config_.latent_mean = std::move(mean);
    config_.latent_std = std::move(deviation);
}

Parameters random_vae(const VaeConfig& config, at::Device device, at::Generator random, at::ScalarType type) {
    constexpr double kSecond = 0.1; // of a residual block, and of what is not the mean or the copy in time
    std::map<std::string, at::Tensor> tensors;
    for (const auto& [name, shape] : config.tensor_shapes(true, true)) {
        at::Tensor value;
        if (name.ends_with(".gamma")) {
            value = at::ones(shape, at::kDouble);
        } else if (name.ends_with(".bias")) {
            value = at::zeros(shape, at::kDouble);
        } else {
            value = at::empty(shape, at::kDouble).normal_(0, 1, random);
            value.mul_(std::sqrt(static_cast<double>(shape[0]) / static_cast<double>(value.numel())));
            if (name.ends_with(".residual.6.weight")) value.mul_(kSecond);
            if (name.ends_with(".time_conv.weight")) {
                value.mul_(kSecond);
                // [out, in, 3, 1, 1]; taps: the oldest frame first
                const std::int64_t in = shape[1];
                const at::Tensor one = at::eye(in, at::kDouble);
                at::Tensor taps = value.flatten(2);
                if (shape[0] == in) {
                    taps.select(2, 1).add_(one, 0.5);
                    taps.select(2, 2).add_(one, 0.5);
                } else {
                    taps.select(2, 2).add_(at::cat({one, one}));
                }
            }
        }
        tensors.emplace(name, value.to(device, type));
    }
    Parameters parameters(std::move(tensors));
    parameters.require_gradients(true);
    return parameters;
}

} // namespace wander::train
