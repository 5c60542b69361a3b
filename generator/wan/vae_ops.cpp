#include "generator/wan/vae_ops.hpp"

#include "generator/wan/vae_norm_cpu.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cmath>

namespace wander {

namespace {

constexpr std::int64_t kPixelsPerTask = 512;

at::Tensor with_past(const std::string& name, const at::Tensor& x, VaePast& past) {
    at::Tensor& last = past[name];
    if (!last.defined())
        last = at::zeros({2, x.size(1), x.size(2), x.size(3)}, x.options()).contiguous(at::MemoryFormat::ChannelsLast);
    const at::Tensor all = at::cat({last, x});
    last = all.narrow(0, all.size(0) - 2, 2).clone(at::MemoryFormat::ChannelsLast);
    return all;
}

at::Tensor conv3d(const VaeConv& conv, const at::Tensor& frames) {
    const at::Tensor clip = frames.transpose(0, 1).unsqueeze(0);
    return at::conv3d(clip, conv.weight, conv.bias, 1, {0, conv.padding, conv.padding}).squeeze(0).transpose(0, 1);
}

at::Tensor norm_silu_torch(const at::Tensor& x, const at::Tensor& gamma, VaeNorm kind, double eps, bool silu) {
    const at::ScalarType wide = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    const at::Tensor v = x.to(wide);
    const double channels = static_cast<double>(x.size(1));
    const at::Tensor scale = kind == VaeNorm::wan
                                 ? std::sqrt(channels) / v.square().sum(1, true).sqrt().clamp_min(1e-12)
                                 : (v.square().mean(1, true) + eps).rsqrt();
    at::Tensor y = v * scale * gamma.to(wide).view({1, -1, 1, 1});
    if (silu) y = at::silu(y);
    return y.to(x.scalar_type());
}

} // namespace

VaeConv make_conv(const at::Tensor& weight, const at::Tensor& bias, at::Device device, at::ScalarType compute,
                  bool side_by_side) {
    VaeConv conv;
    conv.bias = bias.to(device, compute);
    conv.wide_bias = bias.to(device, compute == at::kDouble ? at::kDouble : at::kFloat);
    conv.padding = static_cast<int>(weight.size(-1) / 2);
    at::Tensor w = weight.to(device, compute);
    if (w.dim() == 5) {
        conv.taps = static_cast<int>(w.size(2));
        if (conv.taps > 1 && !side_by_side) {
            conv.weight = w.contiguous(at::MemoryFormat::ChannelsLast3d);
            return conv;
        }
        w = w.permute({0, 2, 1, 3, 4}).flatten(1, 2);
    }
    conv.weight = w.contiguous(at::MemoryFormat::ChannelsLast);
    return conv;
}

at::Tensor run_conv(const VaeConv& conv, const std::string& name, const at::Tensor& x, VaePast& past) {
    if (conv.taps == 1) return at::conv2d(x, conv.weight, conv.bias, 1, conv.padding);
    const at::Tensor all = with_past(name, x, past);
    if (conv.weight.dim() == 5) return conv3d(conv, all);
    const std::int64_t frames = x.size(0);
    const at::Tensor side_by_side =
        at::cat({all.narrow(0, 0, frames), all.narrow(0, 1, frames), all.narrow(0, 2, frames)}, 1);
    return at::conv2d(side_by_side.contiguous(at::MemoryFormat::ChannelsLast), conv.weight, conv.bias, 1, conv.padding);
}

at::Tensor halve_time(const VaeConv& conv, const at::Tensor& x) {
    const std::int64_t frames = x.size(0);
    if (frames == 1) return x;
    at::Tensor weight = conv.weight;
    if (weight.dim() == 5) weight = weight.permute({0, 2, 1, 3, 4}).flatten(1, 2);
    const at::Tensor windows =
        at::cat({x.slice(0, 0, frames - 2, 2), x.slice(0, 1, frames - 1, 2), x.slice(0, 2, frames, 2)}, 1);
    return at::cat({x.narrow(0, 0, 1), at::conv2d(windows, weight, conv.bias)});
}

at::Tensor double_time(const at::Tensor& x) {
    const std::int64_t half = x.size(1) / 2;
    return at::stack({x.narrow(1, 0, half), x.narrow(1, half, half)}, 1)
        .flatten(0, 1)
        .contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor attend_in_frames(const at::Tensor& qkv) {
    const std::int64_t n = qkv.size(0), c = qkv.size(1) / 3, h = qkv.size(2), w = qkv.size(3);
    const auto parts = qkv.permute({0, 2, 3, 1}).reshape({n, 1, h * w, 3 * c}).chunk(3, -1);
    const at::Tensor out = at::scaled_dot_product_attention(parts[0], parts[1], parts[2]);
    return out.reshape({n, h, w, c}).permute({0, 3, 1, 2});
}

at::Tensor norm_silu(const at::Tensor& x, const at::Tensor& gamma, VaeNorm kind, double eps, bool silu) {
    const bool fast =
        x.is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16) && x.size(1) <= 1024;
    if (!fast) return norm_silu_torch(x, gamma, kind, eps, silu);
    const at::Tensor in = x.contiguous(at::MemoryFormat::ChannelsLast);
    at::Tensor out = at::empty_like(in);
    // The Wan norm is the mean square one without eps: 1e-12 under the root only keeps black pixels finite.
    const float added = kind == VaeNorm::wan ? 1e-24f / static_cast<float>(x.size(1)) : static_cast<float>(eps);
    const RmsSilu task{0, x.size(1), gamma.const_data_ptr<float>(), added, silu};
    at::parallel_for(0, x.numel() / x.size(1), kPixelsPerTask, [&](std::int64_t begin, std::int64_t end) {
        RmsSilu part = task;
        part.pixels = end - begin;
        const std::int64_t offset = begin * task.channels;
        if (in.scalar_type() == at::kFloat) {
            rms_silu(part, in.const_data_ptr<float>() + offset, out.mutable_data_ptr<float>() + offset);
        } else {
            rms_silu_bf16(part, static_cast<const std::uint16_t*>(in.const_data_ptr()) + offset,
                          static_cast<std::uint16_t*>(out.mutable_data_ptr()) + offset);
        }
    });
    return out;
}

at::Tensor channels_to_space(const at::Tensor& x, int time) {
    const std::int64_t n = x.size(0), c = x.size(1) / (4 * time), h = x.size(2), w = x.size(3);
    return x.reshape({n, time, 2, 2, c, h, w})
        .permute({0, 1, 4, 5, 2, 6, 3})
        .reshape({n * time, c, 2 * h, 2 * w})
        .contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor space_to_channels(const at::Tensor& x, int time) {
    const std::int64_t n = x.size(0) / time, c = x.size(1), h = x.size(2) / 2, w = x.size(3) / 2;
    return x.reshape({n, time, c, h, 2, w, 2})
        .permute({0, 1, 4, 6, 2, 3, 5})
        .reshape({n, 4 * time * c, h, w})
        .contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor to_patches(const at::Tensor& pictures, int patch) {
    const std::int64_t n = pictures.size(0), c = pictures.size(1), h = pictures.size(2) / patch,
                       w = pictures.size(3) / patch;
    return pictures.reshape({n, c, h, patch, w, patch})
        .permute({0, 3, 5, 1, 2, 4})
        .reshape({n, patch * patch * c, h, w})
        .contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor from_patches(const at::Tensor& x, int patch) {
    if (patch == 1) return x;
    const std::int64_t n = x.size(0), c = x.size(1) / (patch * patch), h = x.size(2), w = x.size(3);
    return x.reshape({n, patch, patch, c, h, w}).permute({0, 3, 4, 1, 5, 2}).reshape({n, c, h * patch, w * patch});
}

} // namespace wander
