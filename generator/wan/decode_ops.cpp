#include "generator/wan/decode_ops.hpp"

#include "generator/wan/decode_kernels.hpp"
#include "generator/wan/vae22_ops.hpp"
#include "generator/wan/vae_ops.hpp"

#include <ATen/ATen.h>

#include <cmath>

#if WANDER_CUDA
#include <c10/cuda/CUDAStream.h>
#endif

namespace wander {

namespace {

constexpr auto kLast = at::MemoryFormat::ChannelsLast;

#if WANDER_CUDA
at::Tensor new_pictures(const at::Tensor& like, std::int64_t frames, std::int64_t channels, std::int64_t rows,
                        std::int64_t columns) {
    return at::empty({frames, channels, rows, columns}, like.options(), kLast);
}

cuda::Stream stream_of(const at::Tensor& x) { return c10::cuda::getCurrentCUDAStream(x.device().index()).stream(); }

bool has_kernels(const at::Tensor& x) { return x.is_cuda() && x.scalar_type() == at::kBFloat16; }

const float* floats(const at::Tensor& x) { return x.defined() ? x.const_data_ptr<float>() : nullptr; }
const void* bytes(const at::Tensor& x) { return x.defined() ? x.const_data_ptr() : nullptr; }

// The kernels read pictures without holes.
at::Tensor packed(const at::Tensor& x) {
    if (!x.defined()) return x;
    TORCH_CHECK(x.scalar_type() == at::kBFloat16 && x.is_cuda(), "decoder kernels take bf16 on CUDA");
    return x.contiguous(kLast);
}
#endif

// Undefined is not absent to cuDNN's fused calls.
std::optional<at::Tensor> bias_of(const PlainConv& conv) {
    return conv.bias.defined() ? std::optional<at::Tensor>(conv.bias) : std::nullopt;
}

at::Tensor enlarge_torch(const Unsummed& unsummed, int times, std::int64_t drop) {
    at::Tensor x = unsummed.summed();
    if (times == 2) x = double_time(x);
    if (drop > 0) x = x.narrow(0, drop, x.size(0) - drop);
    return at::upsample_nearest2d(x.contiguous(kLast), {2 * x.size(2), 2 * x.size(3)});
}

} // namespace

PlainConv make_plain_conv(const at::Tensor& weight, const at::Tensor& bias, at::Device device, at::ScalarType compute) {
    PlainConv conv;
    conv.weight = weight.to(device, compute).contiguous(kLast);
    if (bias.defined()) {
        conv.bias = bias.to(device, compute);
        conv.wide_bias = bias.to(device, at::kFloat);
    }
    conv.padding = static_cast<int>(weight.size(-1) / 2);
    return conv;
}

at::Tensor conv_only(const PlainConv& conv, const at::Tensor& x) {
    return at::conv2d(x, conv.weight, conv.bias, 1, conv.padding);
}

namespace {

at::Tensor rectified(at::Tensor x, double leak) { return leak > 0 ? at::leaky_relu_(x, leak) : x.relu_(); }

#if WANDER_CUDA
// cuDNN fuses no LeakyReLU with a convolution: its sums are finished in a pass of ours, in place.
at::Tensor conv_leak(const PlainConv& conv, const at::Tensor& x, const at::Tensor& added, double leak) {
    const at::Tensor sums = packed(at::conv2d(x, conv.weight, {}, 1, conv.padding));
    const at::Tensor residual = packed(added);
    cuda::EnlargeJob job;
    job.x = bytes(sums);
    job.bias = floats(conv.wide_bias);
    job.residual = bytes(residual);
    job.leak = static_cast<float>(leak);
    job.out = sums.mutable_data_ptr();
    job.frames = static_cast<int>(sums.size(0));
    job.rows = static_cast<int>(sums.size(2));
    job.columns = static_cast<int>(sums.size(3));
    job.channels = static_cast<int>(sums.size(1));
    job.size = 1;
    cuda::launch_enlarge(job, stream_of(sums));
    return sums;
}
#endif

} // namespace

at::Tensor conv_relu(const PlainConv& conv, const at::Tensor& x, bool fused, double leak) {
#if WANDER_CUDA
    if (fused && leak > 0 && conv.weight.size(0) % 8 == 0) return conv_leak(conv, x, {}, leak);
#endif
    if (!fused || leak > 0) return rectified(conv_only(conv, x), leak);
    return at::cudnn_convolution_relu(x, conv.weight, bias_of(conv), {1, 1}, {conv.padding, conv.padding}, {1, 1}, 1);
}

at::Tensor conv_add_relu(const PlainConv& conv, const at::Tensor& x, const at::Tensor& added, bool fused, double leak) {
#if WANDER_CUDA
    if (fused && leak > 0 && conv.weight.size(0) % 8 == 0) return conv_leak(conv, x, added, leak);
#endif
    if (!fused || leak > 0) return rectified(conv_only(conv, x).add_(added), leak);
    return at::cudnn_convolution_add_relu(x, conv.weight, added, 1.0, bias_of(conv), {1, 1},
                                          {conv.padding, conv.padding}, {1, 1}, 1);
}

std::int64_t Unsummed::channels() const {
    if (layout == Layout::plain) return x.size(1);
    return x.size(1) / (layout == Layout::quarters ? 4 : 4 * times);
}

std::int64_t Unsummed::rows() const {
    if (layout == Layout::plain) return x.size(2);
    return 2 * (x.size(2) - (layout == Layout::quarters ? 1 : 0));
}

std::int64_t Unsummed::columns() const {
    if (layout == Layout::plain) return x.size(3);
    return 2 * (x.size(3) - (layout == Layout::quarters ? 1 : 0));
}

Unsummed Unsummed::slice(std::int64_t begin, std::int64_t count) const {
    Unsummed part = *this;
    part.first += begin;
    if (layout == Layout::boxes) {
        part.shown = count; // a frame may be half of one of x
        return part;
    }
    part.x = x.narrow(0, begin, count);
    if (residual.defined()) part.residual = residual.narrow(0, begin, count);
    return part;
}

namespace {

at::Tensor from_quarters(const at::Tensor& x, std::int64_t channels) {
    const at::Tensor q = x.view({x.size(0), 2, 2, channels, x.size(2), x.size(3)});
    std::vector<at::Tensor> lines;
    for (std::int64_t row = 0; row < 2; ++row) {
        std::vector<at::Tensor> columns_of;
        columns_of.reserve(2);
        for (std::int64_t column = 0; column < 2; ++column) {
            columns_of.push_back(
                q.select(1, row).select(1, column).narrow(2, row, x.size(2) - 1).narrow(3, column, x.size(3) - 1));
        }
        lines.push_back(at::stack(columns_of, 4).flatten(3, 4));
    }
    return at::stack(lines, 3).flatten(2, 3).contiguous(kLast);
}

} // namespace

at::Tensor Unsummed::summed() const {
    if (layout == Layout::quarters) {
        const at::Tensor whole = from_quarters(x, channels());
        if (!around.defined()) return Unsummed{whole, bias, residual}.summed();
        const at::Tensor large = repeat_up(around, channels(), times, 2, false);
        return Unsummed{whole, bias, large.narrow(0, first, frames())}.summed();
    }
    const at::ScalarType wide = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    if (layout == Layout::boxes) {
        const auto spread = [this](const at::Tensor& cells) {
            return channels_to_space(cells, times).narrow(0, first, shown);
        };
        at::Tensor large;
        if (around.defined()) {
            const at::Tensor few = spread(around);
            large = few.repeat_interleave(channels() / few.size(1), 1);
        }
        // The bias is of the channels before they are spread.
        const at::Tensor whole = bias.defined() ? x.to(wide) + bias.to(wide).view({1, -1, 1, 1}) : x.to(wide);
        const at::Tensor sum = spread(whole);
        return (large.defined() ? sum + large.to(wide) : sum).to(x.scalar_type());
    }
    if (!bias.defined() && !residual.defined()) return x;
    at::Tensor sum = x.to(wide);
    if (bias.defined()) sum = sum + bias.to(wide).view({1, -1, 1, 1});
    if (residual.defined()) sum = sum + residual.to(wide);
    return sum.to(x.scalar_type());
}

namespace {

// `frames` behind the two before them, each beside its two predecessors; `past` is made or brought up to date.
at::Tensor beside_their_past(const at::Tensor& frames, at::Tensor& past, bool replicate) {
    const std::int64_t count = frames.size(0);
    if (!past.defined()) {
        const at::Tensor first = frames.narrow(0, 0, 1);
        past = (replicate ? first : at::zeros_like(first)).repeat({2, 1, 1, 1});
    }
    const at::Tensor all = at::cat({past, frames});
    past = all.narrow(0, count, 2).clone(kLast);
    return at::cat({all.narrow(0, 0, count), all.narrow(0, 1, count), all.narrow(0, 2, count)}, 1).contiguous(kLast);
}

CausalInputResult causal_input_torch(const Unsummed& x, const CausalInput& how) {
    CausalInputResult result;
    const at::Tensor sum = x.summed();
    if (how.keep_sum) result.sum = sum;
    result.frames = how.gamma.defined() ? norm_silu(sum, how.gamma, VaeNorm::mean_square, how.eps, how.silu) : sum;
    if (how.replicate) result.frames = at::replication_pad2d(result.frames, {1, 1, 1, 1});
    if (how.past) result.frames = beside_their_past(result.frames, *how.past, how.replicate);
    return result;
}

void conv_by_products_torch(const at::Tensor& x, const at::Tensor& taps, const at::Tensor& bias, at::Tensor& past,
                            const at::Tensor& out, bool replicate) {
    const std::int64_t in = x.size(1), patch = out.size(2) / (x.size(2) - (replicate ? 2 : 0));
    const std::int64_t outputs = 3 * patch * patch;
    const at::Tensor weight = taps.narrow(0, 0, 27 * outputs)
                                  .view({3, 3, 3, outputs, in})
                                  .permute({3, 0, 4, 1, 2})
                                  .reshape({outputs, 3 * in, 3, 3});
    const at::Tensor made =
        at::conv2d(beside_their_past(x, past, replicate), weight, bias.to(x.scalar_type()), 1, replicate ? 0 : 1);
    out.copy_(from_column_patches(made, static_cast<int>(patch)));
}

} // namespace

#if WANDER_CUDA
namespace {
at::Tensor enlarge_fused(const Unsummed& x, int size, int times, std::int64_t drop) {
    const at::Tensor in = packed(x.x);
    const at::Tensor residual = packed(x.residual);
    const std::int64_t channels = in.size(1) / times;
    const at::Tensor out = new_pictures(in, in.size(0) * times - drop, channels, size * in.size(2), size * in.size(3));
    cuda::EnlargeJob job;
    job.x = bytes(in);
    job.bias = floats(x.bias);
    job.residual = bytes(residual);
    job.out = out.mutable_data_ptr();
    job.frames = static_cast<int>(in.size(0));
    job.rows = static_cast<int>(in.size(2));
    job.columns = static_cast<int>(in.size(3));
    job.channels = static_cast<int>(channels);
    job.size = size;
    job.times = times;
    job.drop = static_cast<int>(drop);
    cuda::launch_enlarge(job, stream_of(in));
    return out;
}
} // namespace
#endif

at::Tensor enlarge(const Unsummed& x, int times, std::int64_t drop, [[maybe_unused]] bool fused) {
#if WANDER_CUDA
    if (fused && x.x.size(1) / times % 8 == 0) return enlarge_fused(x, 2, times, drop);
#endif
    return enlarge_torch(x, times, drop);
}

at::Tensor up_weight(const at::Tensor& weight) {
    const auto options = weight.options().dtype(at::kDouble);
    // Which of the three taps fall on the nearer and the farther pixel, for the first and the second of a pair.
    const at::Tensor fold =
        at::tensor({1, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 1}, options).view({2, 2, 3}); // [quarter, to, from]
    return at::einsum("pyi,qxj,ocij->pqocyx", {fold, fold, weight.to(at::kDouble)})
        .flatten(0, 2)
        .to(weight.scalar_type())
        .contiguous(kLast);
}

Unsummed up_conv(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
    return {at::conv2d(x, weight, {}, 1, 1), bias, {}, Unsummed::Layout::quarters};
}

at::Tensor tap_weight(const at::Tensor& side_by_side) {
    const std::int64_t in = side_by_side.size(1) / 3;
    const std::int64_t out = side_by_side.size(0);
    // [out, dt * in, dy, dx] -> [dt, dy, dx, out, in]
    const at::Tensor taps =
        side_by_side.contiguous().view({out, 3, in, 3, 3}).permute({1, 3, 4, 0, 2}).reshape({27 * out, in});
    return at::constant_pad_nd(taps, {0, 0, 0, (8 - 27 * out % 8) % 8}).contiguous(); // so that products are aligned
}

at::Tensor attend_by_products(const at::Tensor& qkv) {
    if (!qkv.is_cuda()) return attend_in_frames(qkv);
    const std::int64_t c = qkv.size(1) / 3, h = qkv.size(2), w = qkv.size(3);
    std::vector<at::Tensor> frames;
    for (std::int64_t i = 0; i < qkv.size(0); ++i) {
        const auto parts = qkv.narrow(0, i, 1).permute({0, 2, 3, 1}).reshape({1, h * w, 3 * c}).chunk(3, -1);
        const at::Tensor scores = at::bmm(parts[0], parts[1].transpose(1, 2), at::kFloat);
        scores.mul_(1 / std::sqrt(static_cast<double>(c)));
        frames.push_back(at::bmm(at::softmax(scores, -1).to(qkv.scalar_type()), parts[2]));
    }
    const at::Tensor out = frames.size() == 1 ? frames[0] : at::cat(frames);
    return out.reshape({qkv.size(0), h, w, c}).permute({0, 3, 1, 2});
}

#if WANDER_CUDA

namespace {

cuda::PictureLayout layout_of(const Unsummed& x) {
    if (x.layout == Unsummed::Layout::plain) return cuda::PictureLayout::plain;
    return x.layout == Unsummed::Layout::quarters ? cuda::PictureLayout::quarters : cuda::PictureLayout::boxes;
}

// Leaves the job with pointers into `around`, which the caller keeps.
void add_around(cuda::CausalInputJob& job, const Unsummed& x, const at::Tensor& around) {
    TORCH_CHECK(x.layout != Unsummed::Layout::plain && !x.residual.defined(),
                "what is added enlarged takes a residual's place");
    job.around = bytes(around);
    TORCH_CHECK((x.first + x.frames() - 1) / x.times < around.size(0), "what is added enlarged has too few frames");
    const std::int64_t channels = x.channels();
    if (x.layout == Unsummed::Layout::quarters) {
        job.around_step = static_cast<int>(around.size(1) / channels);
        return;
    }
    const std::int64_t repeat = x.x.size(1) / around.size(1);
    TORCH_CHECK(channels % repeat == 0 && x.x.size(1) % around.size(1) == 0 &&
                    (repeat == 1 || repeat == 2 || repeat == 4 || repeat % 8 == 0),
                "channels of boxes do not match those that are added");
    job.around_repeat = static_cast<int>(repeat);
}

CausalInputResult causal_input_fused(const Unsummed& x, const CausalInput& how) {
    const at::Tensor in = packed(x.x);
    const at::Tensor residual = packed(x.residual);
    const at::Tensor around = packed(x.around);
    const std::int64_t frames = x.frames(), channels = x.channels(), rows = x.rows(), columns = x.columns();
    const std::int64_t border = how.replicate ? 1 : 0;
    const int taps = how.past ? 3 : 1;
    cuda::CausalInputJob job;
    if (how.past && !how.past->defined()) {
        *how.past = new_pictures(in, 2, channels, rows + 2 * border, columns + 2 * border);
        job.fresh = how.replicate;
        if (!job.fresh) how.past->zero_();
    }
    CausalInputResult result;
    result.frames = new_pictures(in, frames, taps * channels, rows + 2 * border, columns + 2 * border);
    if (how.keep_sum) result.sum = new_pictures(in, frames, channels, rows, columns);
    job.x = bytes(in);
    job.layout = layout_of(x);
    job.times = x.times;
    job.first = static_cast<int>(x.first);
    job.bias = floats(x.bias);
    job.residual = bytes(residual);
    if (around.defined()) add_around(job, x, around);
    job.sum = how.keep_sum ? result.sum.mutable_data_ptr() : nullptr;
    job.gamma = floats(how.gamma);
    job.eps = static_cast<float>(how.eps);
    job.silu = how.silu;
    job.taps = taps;
    job.border = static_cast<int>(border);
    job.past = how.past ? how.past->mutable_data_ptr() : nullptr;
    job.out = result.frames.mutable_data_ptr();
    job.frames = static_cast<int>(frames);
    job.rows = static_cast<int>(rows);
    job.columns = static_cast<int>(columns);
    job.channels = static_cast<int>(channels);
    cuda::launch_causal_input(job, stream_of(in));
    return result;
}

void conv_by_products_fused(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, at::Tensor& past,
                            const at::Tensor& out, bool replicate) {
    const std::int64_t border = replicate ? 1 : 0;
    const std::int64_t frames = x.size(0), rows = x.size(2) - 2 * border, columns = x.size(3) - 2 * border;
    const std::int64_t planes = weight.size(0);
    const auto products_of = [&](const at::Tensor& pictures) {
        const at::Tensor pixels =
            packed(pictures).permute({0, 2, 3, 1}).reshape({-1, x.size(2) * x.size(3), x.size(1)});
        return at::bmm(weight.unsqueeze(0).expand({pixels.size(0), -1, -1}), pixels.transpose(1, 2)).contiguous();
    };
    if (!past.defined()) {
        past = new_pictures(x, 2, x.size(1), x.size(2), x.size(3));
        if (replicate) {
            past.copy_(x.narrow(0, 0, 1).expand_as(past));
        } else {
            past.zero_();
        }
    }
    const at::Tensor products = products_of(x);
    const at::Tensor before = products_of(past);
    TORCH_CHECK(out.is_contiguous(kLast), "conv_by_products writes channels last");
    cuda::SumTapsJob job;
    job.patch = static_cast<int>(out.size(2) / rows);
    TORCH_CHECK(planes >= 81 * job.patch * job.patch && job.patch <= 2, "conv_by_products makes 3 or 12 channels");
    job.products = products.const_data_ptr();
    job.past = before.const_data_ptr();
    job.bias = floats(bias);
    job.out = out.mutable_data_ptr();
    job.border = static_cast<int>(border);
    job.frames = static_cast<int>(frames);
    job.planes = static_cast<int>(planes);
    job.rows = static_cast<int>(rows);
    job.columns = static_cast<int>(columns);
    cuda::launch_sum_taps(job, stream_of(x));
    past = frames == 1 ? at::cat({past.narrow(0, 1, 1), x}) : x.narrow(0, frames - 2, 2).clone(kLast);
}

} // namespace

bool causal_input_serves(std::int64_t channels) { return cuda::causal_input_serves(static_cast<int>(channels)); }

#else

bool causal_input_serves(std::int64_t) { return false; }

#endif

CausalInputResult causal_input(const Unsummed& x, const CausalInput& how) {
#if WANDER_CUDA
    if (has_kernels(x.x)) return causal_input_fused(x, how);
#endif
    return causal_input_torch(x, how);
}

at::Tensor doubled_frames(const Unsummed& x) {
#if WANDER_CUDA
    if (has_kernels(x.x)) return enlarge_fused(x, 1, 2, 0);
#endif
    return double_time(x.summed());
}

void conv_by_products(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, at::Tensor& past,
                      const at::Tensor& out, bool replicate) {
#if WANDER_CUDA
    if (has_kernels(x)) return conv_by_products_fused(x, weight, bias, past, out, replicate);
#endif
    conv_by_products_torch(x, weight, bias, past, out, replicate);
}

} // namespace wander
