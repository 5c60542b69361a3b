#include "generator/wan/vae_fused.hpp"

#include "generator/wan/vae22_ops.hpp"

#include <ATen/ATen.h>

#if WANDER_CUDA
#include <cuda_runtime_api.h>
#endif

#include <algorithm>
#include <utility>

namespace wander {

namespace {

using Kind = VaeLayer::Kind;

bool grows(const VaeLayer& layer) { return layer.kind == Kind::up_space || layer.kind == Kind::up_time_space; }

// Can the kernels add what goes around the level that begins with `layer`? Channels are handed through, or of two one
// goes to each row.
bool around_serves(const std::vector<VaeLayer>& layers, std::size_t layer) {
    for (std::size_t last = layer; last < layers.size(); ++last) {
        if (!grows(layers[last])) continue;
        const int in = layers[layer].in, out = layers[last].out;
        return in == out || (in == 2 * out && layers[last].kind == Kind::up_space);
    }
    return false;
}

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
        run_from(0, convolve(first.name, Unsummed{latents, {}, {}}, {}), {});
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

    // around: takes the sum that the layer reads, where that goes around the level.
    Unsummed residual(const VaeLayer& layer, const Unsummed& x, at::Tensor& around) {
        at::Tensor sum;
        Unsummed h = convolve(layer.name + ".residual.2", x, {layer.name + ".residual.0", true, true}, &sum);
        h = convolve(layer.name + ".residual.6", h, {layer.name + ".residual.3"});
        if (layer.around) around = sum;
        if (layer.in == layer.out) {
            h.residual = std::move(sum);
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

    Unsummed up(const VaeLayer& layer, const Unsummed& x, at::Tensor around) {
        // The first latent of a video is one frame: no doubling, and it is no part of the time convolution's history.
        const bool doubles = layer.kind == Kind::up_time_space && !first_;
        const at::Tensor small =
            doubles ? doubled_frames(convolve(layer.name + ".time_conv", x, {})) : causal_input(x, {}).frames;
        const VaeConv& c = conv(layer.name + ".resample.1");
        Unsummed large = up_conv(small, c.special_weight, c.wide_bias);
        if (around.defined()) {
            large.around_time = doubles ? 2 : 1;
            large.around = std::move(around);
        }
        return large;
    }

    // Frames that the layer may take at once.
    std::int64_t slice_of(std::size_t layer, const Unsummed& x) const {
        std::int64_t pixels = x.pixels();
        std::int64_t channels = weights_.decoder->head_channels;
        if (layer < layers_.size()) {
            const VaeLayer& l = layers_[layer];
            channels = grows(l) ? l.out : l.in;
            if (grows(l)) pixels *= 4;
            if (l.kind == Kind::up_time_space && !first_) pixels *= 2;
        }
        return std::max<std::int64_t>(1,
                                      weights_.pixels_per_pass * weights_.decoder->head_channels / (pixels * channels));
    }

    // Everything from `layer` on, slice by slice where the frames are many: causal convolutions keep their history, so
    // it makes no difference. around: the level's input, of the frames that x has, where it goes around.
    void run_from(std::size_t layer, Unsummed x, at::Tensor around) {
        for (; layer < layers_.size(); ++layer) {
            if (split(layer, x, around)) return;
            const VaeLayer& l = layers_[layer];
            switch (l.kind) {
                case Kind::residual: x = residual(l, x, around); break;
                case Kind::attention: x = attention(l, x); break;
                case Kind::up_space:
                case Kind::up_time_space: x = up(l, x, std::exchange(around, {})); break;
                case Kind::down_space:
                case Kind::down_time_space: TORCH_CHECK(false, "a decoder does not shrink"); break;
            }
        }
        if (split(layer, x, around)) return;
        head(x);
    }

    bool split(std::size_t layer, const Unsummed& x, const at::Tensor& around) {
        const std::int64_t slice = slice_of(layer, x);
        if (x.frames() <= slice) return false;
        for (std::int64_t begin = 0; begin < x.frames(); begin += slice) {
            const std::int64_t count = std::min(slice, x.frames() - begin);
            run_from(layer, x.slice(begin, count), around.defined() ? around.narrow(0, begin, count) : around);
        }
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
            const at::Tensor patches = out.x + c.bias.view({1, -1, 1, 1});
            target.copy_(weights_.column_patches ? from_column_patches(patches, weights_.patch)
                                                 : from_patches(patches, weights_.patch));
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

bool decoder_has_room() {
#if WANDER_CUDA
    std::size_t free_bytes = 0, all_bytes = 0;
    if (cudaMemGetInfo(&free_bytes, &all_bytes) == cudaSuccess) return free_bytes >= (std::size_t{24} << 30);
#endif
    return true;
}

bool fused_decoder_serves(const VaeHalf& decoder) {
    bool serves = causal_input_serves(decoder.first.in) && causal_input_serves(decoder.head_channels);
    for (std::size_t i = 0; i < decoder.layers.size(); ++i) {
        const VaeLayer& layer = decoder.layers[i];
        serves = serves && causal_input_serves(layer.in) && causal_input_serves(layer.out) &&
                 (!layer.around || around_serves(decoder.layers, i));
    }
    return serves;
}

void prepare_fused(const VaeHalf& decoder, bool column_patches, std::map<std::string, VaeConv>& convs) {
    for (const VaeLayer& layer : decoder.layers) {
        if (!grows(layer)) continue;
        VaeConv& conv = convs.at(layer.name + ".resample.1");
        conv.special_weight = up_weight(conv.weight);
        conv.weight = at::Tensor();
    }
    VaeConv& head = convs.at(decoder.head.name);
    const bool few = head.weight.size(0) == 3 || (head.weight.size(0) == 12 && column_patches);
    if (head.taps == 3 && few && head.padding == 1) head.special_weight = tap_weight(head.weight);
}

at::Tensor decode_fused(const FusedVaeWeights& weights, const at::Tensor& latents, VaePast& past, bool first) {
    const std::int64_t frames = first ? 1 : 4 * latents.size(0);
    std::int64_t scale = weights.patch;
    for (const VaeLayer& layer : weights.decoder->layers) scale *= grows(layer) ? 2 : 1;
    at::Tensor out = at::empty({frames, 3, scale * latents.size(2), scale * latents.size(3)}, latents.options(),
                               at::MemoryFormat::ChannelsLast);
    FusedDecode(weights, past, first, out).run(latents);
    return out;
}

} // namespace wander
