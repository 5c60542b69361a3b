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

// Can a kernel give each channel behind a convolution to boxes its share of the input's?
bool boxes_serve(const VaeLayer& layer) {
    const int parts = layer.kind == Kind::up_time_space ? 8 : 4;
    // Of a video's first latent half as many parts, so half as often.
    for (const int cells : {parts, 4}) {
        const int repeat = layer.out * cells / layer.in;
        const bool whole = layer.out * cells % layer.in == 0 && layer.out % repeat == 0;
        if (!whole || !(repeat == 1 || repeat == 2 || repeat == 4 || repeat % 8 == 0)) return false;
    }
    return true;
}

struct Weights {
    const VaeHalf* decoder = nullptr;
    const FusedVaeForm* form = nullptr;
    std::int64_t pixels_per_pass = 0;
    const std::map<std::string, VaeConv>* convs = nullptr;     // side by side
    const std::map<std::string, at::Tensor>* gammas = nullptr; // float32
};

class FusedDecode {
public:
    FusedDecode(const Weights& weights, VaePast& past, bool first, at::Tensor frames)
        : weights_(weights),
          layers_(weights.decoder->layers),
          names_(weights.decoder->names),
          past_(past),
          first_(first),
          frames_(std::move(frames)),
          name_(weights.decoder->head.name) {}

    void run(const at::Tensor& latents) {
        const std::string& first = weights_.decoder->first.name;
        const Unsummed x{latents, {}, {}};
        run_from(0, first.empty() ? x : convolve(first, x, {}), {});
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
            how.eps =
                weights_.form->norm == VaeNorm::wan ? 1e-24 / static_cast<double>(x.channels()) : weights_.form->eps;
            how.silu = norm.silu;
        }
        return how;
    }

    CausalInputResult input_of(const VaeConv& conv, const std::string& name, const Unsummed& x, const Norm& norm) {
        CausalInput how = norm_of(norm, x);
        how.past = conv.taps == 3 ? &past_[name] : nullptr;
        how.keep_sum = norm.keep_sum;
        how.replicate = weights_.form->replicate && conv.weight.size(-1) > 1;
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
        Unsummed h = convolve(layer.name + names_.conv1, x, {layer.name + names_.norm1, true, true}, &sum);
        h = convolve(layer.name + names_.conv2, h, {layer.name + names_.norm2});
        if (layer.around) around = sum;
        if (layer.in == layer.out) {
            h.residual = std::move(sum);
            return h;
        }
        const VaeConv& shortcut = conv(layer.name + names_.shortcut);
        h.residual = at::conv2d(sum, shortcut.weight);
        h.bias = h.bias + shortcut.wide_bias;
        return h;
    }

    Unsummed attention(const VaeLayer& layer, const Unsummed& x) {
        const VaeConv& to_qkv = conv(layer.name + names_.qkv);
        const VaeConv& proj = conv(layer.name + names_.proj);
        const CausalInputResult in = input_of(to_qkv, layer.name, x, {layer.name + names_.norm, false, true});
        const at::Tensor qkv = at::conv2d(in.frames, to_qkv.weight, to_qkv.bias);
        return {at::conv2d(attend_by_products(qkv), proj.weight), proj.wide_bias, in.sum};
    }

    Unsummed up(const VaeLayer& layer, const Unsummed& x, at::Tensor around) {
        // The first latent of a video is one frame: no doubling, and it is no part of the time convolution's history.
        const bool doubles = layer.kind == Kind::up_time_space && !first_;
        const at::Tensor small =
            doubles ? doubled_frames(convolve(layer.name + names_.time, x, {})) : causal_input(x, {}).frames;
        const VaeConv& c = conv(layer.name + names_.space);
        Unsummed large = up_conv(small, c.special_weight, c.wide_bias);
        if (around.defined()) {
            large.times = doubles ? 2 : 1;
            large.around = std::move(around);
        }
        return large;
    }

    // A convolution to boxes. The first latent of a video is one frame: of its doubled channels the first half counts.
    Unsummed up_to_boxes(const VaeLayer& layer, const Unsummed& x) {
        const VaeConv& c = conv(layer.name + names_.space);
        const CausalInputResult in = input_of(c, layer.name + names_.space, x, {{}, false, true});
        at::Tensor weight = c.weight, bias = c.wide_bias;
        if (layer.kind == Kind::up_time_space && first_) {
            const auto first_half = [](const at::Tensor& all) { return all.unflatten(0, {4, 2, -1}).select(1, 0); };
            weight = first_half(weight).flatten(0, 1).contiguous(at::MemoryFormat::ChannelsLast);
            bias = first_half(bias).flatten();
        }
        Unsummed large{at::conv2d(in.frames, weight, {}, 1, c.padding), bias, {}, Unsummed::Layout::boxes};
        large.times = layer.kind == Kind::up_time_space && !first_ ? 2 : 1;
        large.shown = large.times * in.frames.size(0);
        large.around = in.sum;
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
                case Kind::up_time_space:
                    x = weights_.decoder->grows_by_boxes ? up_to_boxes(l, x) : up(l, x, std::exchange(around, {}));
                    break;
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
            how.replicate = weights_.form->replicate;
            conv_by_products(causal_input(x, how).frames, c.special_weight, c.wide_bias, past_[name_], target,
                             how.replicate);
            return;
        }
        const Unsummed out = convolve(name_, x, {weights_.decoder->head_norm});
        if (weights_.form->patch == 1) {
            at::add_out(target, out.x, c.bias.view({1, -1, 1, 1}));
        } else {
            const at::Tensor patches = out.x + c.bias.view({1, -1, 1, 1});
            target.copy_(weights_.form->column_patches ? from_column_patches(patches, weights_.form->patch)
                                                       : from_patches(patches, weights_.form->patch));
        }
    }

    const Weights& weights_;
    const std::vector<VaeLayer>& layers_;
    const VaeNames& names_;
    VaePast& past_;
    bool first_;
    at::Tensor frames_;
    std::int64_t done_ = 0;
    const std::string& name_; // of the head
};

// Are 24 GiB or more of the GPU's memory free? See DecodeTuning.
bool has_room() {
#if WANDER_CUDA
    std::size_t free_bytes = 0, all_bytes = 0;
    if (cudaMemGetInfo(&free_bytes, &all_bytes) == cudaSuccess) return free_bytes >= (std::size_t{24} << 30);
#endif
    return true;
}

// Does the fused path know every width of this plan?
bool serves(const VaeHalf& decoder) {
    bool all = causal_input_serves(decoder.head_channels) &&
               (decoder.first.name.empty() || causal_input_serves(decoder.first.in));
    for (std::size_t i = 0; i < decoder.layers.size(); ++i) {
        const VaeLayer& layer = decoder.layers[i];
        all = all && causal_input_serves(layer.in) && causal_input_serves(layer.out) &&
              (!layer.around || around_serves(decoder.layers, i)) &&
              (!grows(layer) || !decoder.grows_by_boxes || boxes_serve(layer));
    }
    return all;
}

} // namespace

FusedVae::FusedVae(VaeHalf decoder, const FusedVaeForm& form, at::Device device, at::ScalarType compute,
                   const DecodeTuning& tuning)
    : decoder_(std::move(decoder)), form_(form), tuning_(tuning) {
    on_ = tuning.twin || (device.is_cuda() && compute == at::kBFloat16 && !tuning.plain && serves(decoder_));
}

void FusedVae::prepare(std::map<std::string, VaeConv>& convs) {
    for (const VaeLayer& layer : decoder_.layers) {
        if (!grows(layer) || decoder_.grows_by_boxes) continue;
        VaeConv& conv = convs.at(layer.name + decoder_.names.space);
        conv.special_weight = up_weight(conv.weight);
        conv.weight = at::Tensor();
    }
    VaeConv& head = convs.at(decoder_.head.name);
    const bool few = head.weight.size(0) == 3 || (head.weight.size(0) == 12 && form_.column_patches);
    if (head.taps == 3 && few && head.weight.size(-1) == 3) head.special_weight = tap_weight(head.weight);
    const bool roomy = has_room();
    if (tuning_.pixels_per_pass == 0)
        tuning_.pixels_per_pass = form_.pixels_per_pass * (roomy ? form_.roomy_passes : 1);
    if (tuning_.latents_per_call == 0) tuning_.latents_per_call = roomy ? form_.roomy_latents : 1;
}

at::Tensor FusedVae::decode(const std::map<std::string, VaeConv>& convs,
                            const std::map<std::string, at::Tensor>& gammas, const at::Tensor& latents, VaePast& past,
                            bool first) const {
    const std::int64_t frames = first ? 1 : 4 * latents.size(0);
    std::int64_t scale = form_.patch;
    for (const VaeLayer& layer : decoder_.layers) scale *= grows(layer) ? 2 : 1;
    at::Tensor out = at::empty({frames, 3, scale * latents.size(2), scale * latents.size(3)}, latents.options(),
                               at::MemoryFormat::ChannelsLast);
    const Weights weights{&decoder_, &form_, tuning_.pixels_per_pass, &convs, &gammas};
    FusedDecode(weights, past, first, out).run(latents);
    return out;
}

} // namespace wander
