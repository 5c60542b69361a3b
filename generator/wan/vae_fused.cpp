#include "generator/wan/vae_fused.hpp"

#include <ATen/ATen.h>

#include <algorithm>

namespace wander {

namespace {

using Kind = VaeLayer::Kind;

class FusedDecode {
public:
    FusedDecode(const FusedVaeWeights& weights, VaePast& past, bool first, at::Tensor frames)
        : weights_(weights),
          layers_(weights.decoder->layers),
          past_(past),
          first_(first),
          frames_(std::move(frames)),
          name_(weights.decoder->head.name) {}

    void run(const at::Tensor& latents) {
        const auto& first = weights_.decoder->first;
        run_from(0, convolve(first.name, Unsummed{latents, {}, {}}, {}));
    }

private:
    struct Norm {
        std::string name; // empty: none
        bool silu = true;
        bool keep_sum = false;
    };

    const VaeConv& conv(const std::string& name) const { return weights_.convs->at(name); }

    CausalInput norm_of(const Norm& norm, const Unsummed& x) const {
        CausalInput how;
        if (!norm.name.empty()) {
            how.gamma = weights_.gammas->at(norm.name);
            // The Wan norm has no eps: 1e-24 under the root only keeps black pixels finite.
            how.eps = weights_.norm == VaeNorm::wan ? 1e-24 / static_cast<double>(x.channels()) : weights_.eps;
            how.silu = norm.silu;
        }
        return how;
    }

    CausalInputResult input_of(const VaeConv& conv, const std::string& name, const Unsummed& x, const Norm& norm) {
        CausalInput how = norm_of(norm, x);
        how.past = conv.taps == 3 ? &past_[name] : nullptr;
        how.keep_sum = norm.keep_sum;
        return causal_input(x, how);
    }

    // Norm, SiLU and convolution; the bias is left to the reader.
    Unsummed convolve(const std::string& name, const Unsummed& x, const Norm& norm, at::Tensor* sum = nullptr) {
        const VaeConv& c = conv(name);
        const CausalInputResult in = input_of(c, name, x, norm);
        if (sum) *sum = in.sum;
        return {at::conv2d(in.frames, c.weight, {}, 1, c.padding), c.wide_bias, {}};
    }

    Unsummed residual(const VaeLayer& layer, const Unsummed& x) {
        at::Tensor sum;
        Unsummed h = convolve(layer.name + ".residual.2", x, {layer.name + ".residual.0", true, true}, &sum);
        h = convolve(layer.name + ".residual.6", h, {layer.name + ".residual.3"});
        if (layer.in == layer.out) {
            h.residual = sum;
            return h;
        }
        const VaeConv& shortcut = conv(layer.name + ".shortcut");
        h.residual = at::conv2d(sum, shortcut.weight);
        h.bias = h.bias + shortcut.wide_bias;
        return h;
    }

    Unsummed attention(const VaeLayer& layer, const Unsummed& x) {
        const VaeConv& to_qkv = conv(layer.name + ".to_qkv");
        const VaeConv& proj = conv(layer.name + ".proj");
        const CausalInputResult in = input_of(to_qkv, layer.name, x, {layer.name + ".norm", false, true});
        const at::Tensor qkv = at::conv2d(in.frames, to_qkv.weight, to_qkv.bias);
        return {at::conv2d(attend_by_products(qkv), proj.weight), proj.wide_bias, in.sum};
    }

    Unsummed up(const VaeLayer& layer, Unsummed x) {
        // The first latent of a video is one frame: no doubling, and it is no part of the time convolution's history.
        const bool doubles = layer.kind == Kind::up_time_space && !first_;
        const at::Tensor small =
            doubles ? doubled_frames(convolve(layer.name + ".time_conv", x, {})) : causal_input(x, {}).frames;
        const VaeConv& c = conv(layer.name + ".resample.1");
        return up_conv(small, c.special_weight, c.wide_bias);
    }

    // Frames that the layer may take at once.
    std::int64_t slice_of(std::size_t layer, const Unsummed& x) const {
        std::int64_t pixels = x.pixels();
        if (layer < layers_.size()) {
            const Kind kind = layers_[layer].kind;
            if (kind == Kind::up_space || kind == Kind::up_time_space) pixels *= 4;
            if (kind == Kind::up_time_space && !first_) pixels *= 2;
        }
        return std::max<std::int64_t>(1, weights_.pixels_per_pass / pixels);
    }

    // Everything from `layer` on, slice by slice where the frames are many: causal convolutions keep their history, so
    // it makes no difference.
    void run_from(std::size_t layer, Unsummed x) {
        for (; layer < layers_.size(); ++layer) {
            if (split(layer, x)) return;
            const VaeLayer& l = layers_[layer];
            switch (l.kind) {
                case Kind::residual: x = residual(l, x); break;
                case Kind::attention: x = attention(l, x); break;
                case Kind::up_space:
                case Kind::up_time_space: x = up(l, std::move(x)); break;
                case Kind::down_space:
                case Kind::down_time_space: TORCH_CHECK(false, "a decoder does not shrink"); break;
            }
        }
        if (split(layer, x)) return;
        head(x);
    }

    bool split(std::size_t layer, const Unsummed& x) {
        const std::int64_t slice = slice_of(layer, x);
        if (x.frames() <= slice) return false;
        for (std::int64_t begin = 0; begin < x.frames(); begin += slice)
            run_from(layer, x.slice(begin, std::min(slice, x.frames() - begin)));
        return true;
    }

    void head(const Unsummed& x) {
        at::Tensor target = frames_.narrow(0, done_, x.frames());
        done_ += x.frames();
        const VaeConv& c = conv(name_);
        if (c.special_weight.defined()) {
            CausalInput how = norm_of({weights_.decoder->head_norm}, x);
            conv_by_products(causal_input(x, how).frames, c.special_weight, c.wide_bias, past_[name_], target);
            return;
        }
        const Unsummed out = convolve(name_, x, {weights_.decoder->head_norm});
        if (weights_.patch == 1) {
            at::add_out(target, out.x, c.bias.view({1, -1, 1, 1}));
        } else {
            target.copy_(from_patches(out.x + c.bias.view({1, -1, 1, 1}), weights_.patch));
        }
    }

    const FusedVaeWeights& weights_;
    const std::vector<VaeLayer>& layers_;
    VaePast& past_;
    bool first_;
    at::Tensor frames_;
    std::int64_t done_ = 0;
    const std::string& name_; // of the head
};

} // namespace

bool fused_decoder_serves(const VaeHalf& decoder) {
    bool serves = causal_input_serves(decoder.first.in) && causal_input_serves(decoder.head_channels);
    for (const VaeLayer& layer : decoder.layers)
        serves = serves && causal_input_serves(layer.in) && causal_input_serves(layer.out);
    return serves;
}

void prepare_fused(const VaeHalf& decoder, std::map<std::string, VaeConv>& convs) {
    for (const VaeLayer& layer : decoder.layers) {
        if (layer.kind != Kind::up_space && layer.kind != Kind::up_time_space) continue;
        VaeConv& conv = convs.at(layer.name + ".resample.1");
        conv.special_weight = up_weight(conv.weight);
        conv.weight = at::Tensor();
    }
    VaeConv& head = convs.at(decoder.head.name);
    if (head.taps == 3 && head.weight.size(0) == 3 && head.padding == 1) head.special_weight = tap_weight(head.weight);
}

at::Tensor decode_fused(const FusedVaeWeights& weights, const at::Tensor& latents, VaePast& past, bool first) {
    const std::int64_t frames = first ? 1 : 4 * latents.size(0);
    at::Tensor out = at::empty({frames, 3, 8 * latents.size(2), 8 * latents.size(3)}, latents.options(),
                               at::MemoryFormat::ChannelsLast);
    FusedDecode(weights, past, first, out).run(latents);
    return out;
}

} // namespace wander
