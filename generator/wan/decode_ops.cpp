#include "generator/wan/decode_ops.hpp"

#include "generator/wan/decode_kernels.hpp"

#include <ATen/ATen.h>

#if WANDER_CUDA
#include <c10/cuda/CUDAStream.h>
#endif

namespace wander {

namespace {

constexpr auto kLast = at::MemoryFormat::ChannelsLast;

at::Tensor new_pictures(const at::Tensor& like, std::int64_t frames, std::int64_t channels, std::int64_t rows,
                        std::int64_t columns) {
    return at::empty({frames, channels, rows, columns}, like.options(), kLast);
}

#if WANDER_CUDA
cuda::Stream stream_of(const at::Tensor& x) { return c10::cuda::getCurrentCUDAStream(x.device().index()).stream(); }

const float* floats(const at::Tensor& x) { return x.defined() ? x.const_data_ptr<float>() : nullptr; }
const void* bytes(const at::Tensor& x) { return x.defined() ? x.const_data_ptr() : nullptr; }

// The kernels read pictures without holes.
at::Tensor packed(const at::Tensor& x) {
    if (!x.defined()) return x;
    TORCH_CHECK(x.scalar_type() == at::kBFloat16 && x.is_cuda(), "decoder kernels take bf16 on CUDA");
    return x.contiguous(kLast);
}
#endif

at::Tensor enlarge_torch(const Unsummed& unsummed, int times, std::int64_t drop) {
    at::Tensor x = unsummed.summed();
    if (times == 2) {
        const std::int64_t half = x.size(1) / 2;
        x = at::stack({x.narrow(1, 0, half), x.narrow(1, half, half)}, 1).flatten(0, 1);
    }
    if (drop > 0) x = x.narrow(0, drop, x.size(0) - drop);
    return at::upsample_nearest2d(x.contiguous(kLast), {2 * x.size(2), 2 * x.size(3)});
}

} // namespace

PlainConv make_plain_conv(const at::Tensor& weight, const at::Tensor& bias, at::Device device, at::ScalarType compute) {
    PlainConv conv;
    conv.weight = weight.to(device, compute).contiguous(kLast);
    if (bias.defined()) conv.bias = bias.to(device, compute);
    conv.padding = static_cast<int>(weight.size(-1) / 2);
    return conv;
}

at::Tensor conv_only(const PlainConv& conv, const at::Tensor& x) {
    return at::conv2d(x, conv.weight, conv.bias, 1, conv.padding);
}

at::Tensor conv_relu(const PlainConv& conv, const at::Tensor& x, bool fused) {
    if (!fused) return conv_only(conv, x).relu_();
    return at::cudnn_convolution_relu(x, conv.weight, conv.bias, {1, 1}, {conv.padding, conv.padding}, {1, 1}, 1);
}

at::Tensor conv_add_relu(const PlainConv& conv, const at::Tensor& x, const at::Tensor& added, bool fused) {
    if (!fused) return conv_only(conv, x).add_(added).relu_();
    return at::cudnn_convolution_add_relu(x, conv.weight, added, 1.0, conv.bias, {1, 1}, {conv.padding, conv.padding},
                                          {1, 1}, 1);
}

Unsummed Unsummed::slice(std::int64_t begin, std::int64_t count) const {
    Unsummed part{x.narrow(0, begin, count), bias, {}};
    if (residual.defined()) part.residual = residual.narrow(0, begin, count);
    return part;
}

at::Tensor Unsummed::summed() const {
    if (!bias.defined() && !residual.defined()) return x;
    const at::ScalarType wide = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    at::Tensor sum = x.to(wide);
    if (bias.defined()) sum = sum + bias.to(wide).view({1, -1, 1, 1});
    if (residual.defined()) sum = sum + residual.to(wide);
    return sum.to(x.scalar_type());
}

at::Tensor enlarge(const Unsummed& x, int times, std::int64_t drop, bool fused) {
    const std::int64_t channels = x.x.size(1) / times;
    if (!fused || channels % 8 != 0) return enlarge_torch(x, times, drop);
#if WANDER_CUDA
    const at::Tensor in = packed(x.x);
    const at::Tensor residual = packed(x.residual);
    const at::Tensor out =
        new_pictures(in, in.size(0) * times - drop, channels, 2 * in.size(2), 2 * in.size(3));
    cuda::EnlargeJob job;
    job.x = bytes(in);
    job.bias = floats(x.bias);
    job.residual = bytes(residual);
    job.out = out.mutable_data_ptr();
    job.frames = static_cast<int>(in.size(0));
    job.rows = static_cast<int>(in.size(2));
    job.columns = static_cast<int>(in.size(3));
    job.channels = static_cast<int>(channels);
    job.times = times;
    job.drop = static_cast<int>(drop);
    cuda::launch_enlarge(job, stream_of(in));
    return out;
#else
    return enlarge_torch(x, times, drop);
#endif
}

#if WANDER_CUDA

bool causal_input_serves(std::int64_t channels) { return cuda::causal_input_serves(static_cast<int>(channels)); }

CausalInputResult causal_input(const Unsummed& x, const CausalInput& how) {
    const at::Tensor in = packed(x.x);
    const at::Tensor residual = packed(x.residual);
    const std::int64_t frames = in.size(0), channels = in.size(1), rows = in.size(2), columns = in.size(3);
    const int taps = how.past ? 3 : 1;
    if (how.past && !how.past->defined()) {
        *how.past = new_pictures(in, 2, channels, rows, columns);
        how.past->zero_();
    }
    CausalInputResult result;
    result.frames = new_pictures(in, frames, taps * channels, rows, columns);
    if (how.keep_sum) result.sum = new_pictures(in, frames, channels, rows, columns);
    cuda::CausalInputJob job;
    job.x = bytes(in);
    job.bias = floats(x.bias);
    job.residual = bytes(residual);
    job.sum = how.keep_sum ? result.sum.mutable_data_ptr() : nullptr;
    job.gamma = floats(how.gamma);
    job.eps = static_cast<float>(how.eps);
    job.silu = how.silu;
    job.taps = taps;
    job.past = how.past ? how.past->mutable_data_ptr() : nullptr;
    job.out = result.frames.mutable_data_ptr();
    job.frames = static_cast<int>(frames);
    job.pixels = rows * columns;
    job.channels = static_cast<int>(channels);
    cuda::launch_causal_input(job, stream_of(in));
    return result;
}

#else

bool causal_input_serves(std::int64_t) { return false; }

CausalInputResult causal_input(const Unsummed&, const CausalInput&) {
    TORCH_CHECK(false, "this program was built without CUDA");
}

#endif

} // namespace wander
