#include "generator/train/ops_cuda.hpp"

#if WANDER_CUDA

#include "generator/train/cuda/ops.hpp"
#include "quant/cuda/hopper_attend.hpp"

#include <ATen/ATen.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/csrc/autograd/custom_function.h>

namespace wander::train::fused {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

cuda::Stream stream_of(const at::Tensor& x) { return c10::cuda::getCurrentCUDAStream(x.get_device()).stream(); }

at::Tensor dense_float(const at::Tensor& x) { return x.defined() ? x.to(at::kFloat).contiguous() : x; }
at::Tensor dense_bf16(const at::Tensor& x) { return x.defined() ? x.to(at::kBFloat16).contiguous() : x; }
at::Tensor like(const at::Tensor& x, at::IntArrayRef sizes, at::ScalarType type) {
    return at::empty(sizes, x.options().dtype(type));
}
const float* floats(const at::Tensor& x) { return x.defined() ? x.const_data_ptr<float>() : nullptr; }
const void* bits(const at::Tensor& x) { return x.defined() ? x.const_data_ptr() : nullptr; }

// Autograd functions take no undefined tensors: an absent one is empty.
at::Tensor present(const at::Tensor& x, const at::Tensor& options_of) {
    return x.defined() ? x : at::empty({0}, options_of.options());
}
at::Tensor absent_if_empty(const at::Tensor& x) { return x.defined() && x.numel() > 0 ? x : at::Tensor(); }

bool is_bf16_on_gpu(const at::Tensor& x) { return x.is_cuda() && x.scalar_type() == at::kBFloat16; }

// Inputs x, y, gate, shift, scale; results x_out (with y) and h (with shift).
struct StreamRows : torch::autograd::Function<StreamRows> {
    static variable_list forward(AutogradContext* context, const at::Tensor& x_given, const at::Tensor& y_given,
                                 const at::Tensor& gate_given, const at::Tensor& shift_given,
                                 const at::Tensor& scale_given, double eps) {
        const at::Tensor x = x_given.contiguous(), y = dense_bf16(absent_if_empty(y_given)),
                         gate = dense_float(absent_if_empty(gate_given)),
                         shift = dense_float(absent_if_empty(shift_given)),
                         scale = dense_float(absent_if_empty(scale_given));
        cuda::RowsForward job;
        job.groups = x.size(0) * x.size(1);
        job.tokens = static_cast<int>(x.size(2));
        job.heads = static_cast<int>(x.size(3) / kHeadDim);
        job.eps = static_cast<float>(eps);
        job.x = floats(x);
        at::Tensor x_out, h, statistics;
        if (y.defined()) {
            x_out = at::empty_like(x);
            job.y = bits(y);
            job.gate = floats(gate);
            job.x_out = x_out.mutable_data_ptr<float>();
        }
        if (shift.defined()) {
            h = like(x, x.sizes(), at::kBFloat16);
            statistics = like(x, {job.groups * job.tokens, 2}, at::kFloat);
            job.shift = floats(shift);
            job.scale = floats(scale);
            job.h = h.mutable_data_ptr();
            job.statistics = statistics.mutable_data_ptr<float>();
        }
        cuda::launch_rows_forward(job, stream_of(x));
        context->set_materialize_grads(false);
        const at::Tensor normed = !shift.defined() ? at::Tensor() : y.defined() ? x_out : x;
        context->save_for_backward({normed, statistics, y, gate, scale});
        context->saved_data["sizes"] = x.sizes().vec();
        variable_list results;
        if (y.defined()) results.push_back(x_out);
        if (shift.defined()) results.push_back(h);
        return results;
    }

    static variable_list backward(AutogradContext* context, const variable_list& gradients) {
        const variable_list saved = context->get_saved_variables();
        const at::Tensor &normed = saved[0], &statistics = saved[1], &y = saved[2], &gate = saved[3], &scale = saved[4];
        const std::vector<std::int64_t> sizes = context->saved_data["sizes"].toIntVector();
        const at::Tensor dx_out = y.defined() ? dense_float(gradients[0]) : at::Tensor();
        const at::Tensor dh = normed.defined() ? dense_bf16(gradients.back()) : at::Tensor();
        if (!dx_out.defined() && !dh.defined()) return variable_list(6);
        const at::Tensor& some = dh.defined() ? dh : dx_out;
        cuda::RowsBackward job;
        job.groups = sizes[0] * sizes[1];
        job.tokens = static_cast<int>(sizes[2]);
        job.heads = static_cast<int>(sizes[3] / kHeadDim);
        job.dx_out = floats(dx_out);
        at::Tensor dx, dy;
        // Parts of the sums for gate, shift and scale.
        const at::Tensor parts = like(some, {3, sizes[0], sizes[1], cuda::row_parts(), sizes[3]}, at::kFloat);
        float* sums = parts.mutable_data_ptr<float>();
        if (dh.defined()) {
            job.dh = bits(dh);
            job.x_out = floats(normed);
            job.statistics = floats(statistics);
            job.scale = floats(scale);
            dx = like(some, sizes, at::kFloat);
            job.dx = dx.mutable_data_ptr<float>();
            job.dshift = sums + parts.stride(0);
            job.dscale = sums + 2 * parts.stride(0);
        } else {
            dx = dx_out; // passes by
        }
        if (y.defined()) {
            dy = like(some, sizes, at::kBFloat16);
            job.y = bits(y);
            job.gate = floats(gate);
            job.dy = dy.mutable_data_ptr();
            job.dgate = sums;
        }
        cuda::launch_rows_backward(job, stream_of(some));
        const std::int64_t first = y.defined() ? 0 : 1, end = dh.defined() ? 3 : 1;
        const at::Tensor whole = parts.narrow(0, first, end - first).sum(3);
        const auto sum = [&](std::int64_t which) {
            return which >= first && which < end ? whole[which - first] : at::Tensor();
        };
        return {dx, dy, sum(0), sum(1), sum(2), {}};
    }
};

cuda::TurnJob turn_job(const at::Tensor& qkv, const at::Tensor& norm_q, const at::Tensor& norm_k, const at::Tensor& cos,
                       const at::Tensor& sin, const at::Tensor& camera, const at::Tensor& camera_inverse, double eps) {
    const std::int64_t dim = qkv.size(3) / 3;
    cuda::TurnJob job;
    job.groups = qkv.size(0) * qkv.size(1);
    job.latents = static_cast<int>(qkv.size(1));
    job.tokens = static_cast<int>(qkv.size(2));
    job.heads = static_cast<int>(dim / kHeadDim);
    job.eps = static_cast<float>(eps);
    const auto* values = static_cast<const std::uint16_t*>(qkv.const_data_ptr());
    job.q = values;
    job.k = values + dim;
    job.v = values + 2 * dim;
    job.stride = 3 * dim;
    job.norm_q = floats(norm_q);
    job.norm_k = floats(norm_k);
    job.cos = floats(cos);
    job.sin = floats(sin);
    job.camera = floats(camera);
    job.camera_inverse = floats(camera_inverse);
    return job;
}

struct TurnQkv : torch::autograd::Function<TurnQkv> {
    static variable_list forward(AutogradContext* context, const at::Tensor& qkv_given, const at::Tensor& norm_q_given,
                                 const at::Tensor& norm_k_given, const at::Tensor& cos_given,
                                 const at::Tensor& sin_given, const at::Tensor& camera_given,
                                 const at::Tensor& camera_inverse_given, double eps) {
        const at::Tensor qkv = qkv_given.contiguous(), norm_q = dense_float(norm_q_given),
                         norm_k = dense_float(norm_k_given), cos = dense_float(cos_given), sin = dense_float(sin_given),
                         camera = dense_float(camera_given), camera_inverse = dense_float(camera_inverse_given);
        cuda::TurnJob job = turn_job(qkv, norm_q, norm_k, cos, sin, camera, camera_inverse, eps);
        const std::vector<std::int64_t> sizes = {qkv.size(0), job.latents * std::int64_t{job.tokens},
                                                 2 * std::int64_t{job.heads}, kHeadDim};
        const at::Tensor q = like(qkv, sizes, at::kBFloat16), k = at::empty_like(q), v = at::empty_like(q);
        job.turned_q = q.mutable_data_ptr();
        job.turned_k = k.mutable_data_ptr();
        job.turned_v = v.mutable_data_ptr();
        cuda::launch_turn_forward(job, stream_of(qkv));
        context->save_for_backward({qkv, norm_q, norm_k, cos, sin, camera, camera_inverse});
        context->saved_data["eps"] = eps;
        return {q, k, v};
    }

    static variable_list backward(AutogradContext* context, const variable_list& gradients) {
        const variable_list saved = context->get_saved_variables();
        const at::Tensor& qkv = saved[0];
        cuda::TurnJob job = turn_job(qkv, saved[1], saved[2], saved[3], saved[4], saved[5], saved[6],
                                     context->saved_data["eps"].toDouble());
        const at::Tensor dq = dense_bf16(gradients[0]), dk = dense_bf16(gradients[1]), dv = dense_bf16(gradients[2]);
        // Read alone; forward and backward share the job's fields.
        job.turned_q = const_cast<void*>(dq.const_data_ptr());
        job.turned_k = const_cast<void*>(dk.const_data_ptr());
        job.turned_v = const_cast<void*>(dv.const_data_ptr());
        const std::int64_t dim = qkv.size(3) / 3;
        const at::Tensor dqkv = at::empty_like(qkv),
                         dnorms = like(qkv, {job.groups * cuda::row_parts(), 2, dim}, at::kFloat);
        auto* values = static_cast<std::uint16_t*>(dqkv.mutable_data_ptr());
        job.dq = values;
        job.dk = values + dim;
        job.dv = values + 2 * dim;
        job.gradient_stride = 3 * dim;
        job.dnorms = dnorms.mutable_data_ptr<float>();
        cuda::launch_turn_backward(job, stream_of(qkv));
        const at::Tensor sums = dnorms.sum(0);
        return {dqkv, sums[0], sums[1], {}, {}, {}, {}, {}};
    }
};

at::Tensor unturn(const at::Tensor& in, const at::Tensor& camera, bool transposed) {
    const at::Tensor out = at::empty_like(in);
    cuda::UnturnJob job;
    job.groups = camera.size(0) * camera.size(1);
    job.heads = static_cast<int>(in.numel() / (in.size(0) * in.size(1)) / kHeadDim / 2);
    job.tokens = static_cast<int>(in.size(1) / camera.size(1));
    job.transposed = transposed;
    job.camera = floats(camera);
    job.in = bits(in);
    job.out = out.mutable_data_ptr();
    cuda::launch_unturn(job, stream_of(in));
    return out;
}

struct UnturnHeads : torch::autograd::Function<UnturnHeads> {
    static at::Tensor forward(AutogradContext* context, const at::Tensor& o, const at::Tensor& camera_given) {
        const at::Tensor camera = dense_float(camera_given);
        context->save_for_backward({camera});
        return unturn(o.contiguous(), camera, false);
    }

    static variable_list backward(AutogradContext* context, const variable_list& gradients) {
        return {unturn(dense_bf16(gradients[0]), context->get_saved_variables()[0], true), {}};
    }
};

cuda::AttentionJob attention_job(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& o,
                                 const at::Tensor& log_sum, std::int64_t latents, std::int64_t tokens) {
    cuda::AttentionJob job;
    job.batch = static_cast<int>(q.size(0));
    job.heads = static_cast<int>(q.size(2));
    job.latents = static_cast<int>(latents);
    job.tokens = static_cast<int>(tokens);
    job.q = bits(q);
    job.k = bits(k);
    job.v = bits(v);
    job.o = o.mutable_data_ptr();
    job.log_sum = log_sum.mutable_data_ptr<float>();
    return job;
}

struct ClipAttention : torch::autograd::Function<ClipAttention> {
    static at::Tensor forward(AutogradContext* context, const at::Tensor& q_given, const at::Tensor& k_given,
                              const at::Tensor& v_given, std::int64_t latents, std::int64_t tokens, bool hopper) {
        const at::Tensor q = q_given.contiguous(), k = k_given.contiguous(), v = v_given.contiguous();
        const at::Tensor o = at::empty_like(q), log_sum = like(q, {q.size(0), q.size(2), q.size(1)}, at::kFloat);
        (hopper ? cuda::launch_hopper_attention_forward : cuda::launch_attention_forward)(
            attention_job(q, k, v, o, log_sum, latents, tokens), stream_of(q));
        context->save_for_backward({q, k, v, o, log_sum});
        context->saved_data["latents"] = latents;
        context->saved_data["tokens"] = tokens;
        context->saved_data["hopper"] = hopper;
        return o;
    }

    static variable_list backward(AutogradContext* context, const variable_list& gradients) {
        const variable_list saved = context->get_saved_variables();
        const at::Tensor d_o = dense_bf16(gradients[0]), delta = at::empty_like(saved[4]);
        const at::Tensor dq = at::empty_like(saved[0]), dk = at::empty_like(saved[1]), dv = at::empty_like(saved[2]);
        cuda::AttentionJob job =
            attention_job(saved[0], saved[1], saved[2], saved[3], saved[4], context->saved_data["latents"].toInt(),
                          context->saved_data["tokens"].toInt());
        job.d_o = bits(d_o);
        job.delta = delta.mutable_data_ptr<float>();
        job.dq = dq.mutable_data_ptr();
        job.dk = dk.mutable_data_ptr();
        job.dv = dv.mutable_data_ptr();
        (context->saved_data["hopper"].toBool() ? cuda::launch_hopper_attention_backward
                                                : cuda::launch_attention_backward)(job, stream_of(d_o));
        return {dq, dk, dv, {}, {}, {}};
    }
};

} // namespace

bool takes_rows(const at::Tensor& x, const at::Tensor& y, at::ScalarType out) {
    return x.is_cuda() && x.scalar_type() == at::kFloat && (!y.defined() || is_bf16_on_gpu(y)) &&
           out == at::kBFloat16 && x.size(3) % kHeadDim == 0 && cuda::has_row_kernels(x.size(3) / kHeadDim);
}

AddedAndNormed gated_add_norm(const at::Tensor& x, const at::Tensor& y, const at::Tensor& gate, const at::Tensor& shift,
                              const at::Tensor& scale, double eps) {
    const variable_list results =
        StreamRows::apply(x, present(y, x), present(gate, x), present(shift, x), present(scale, x), eps);
    return {y.defined() ? results[0] : at::Tensor(), shift.defined() ? results.back() : at::Tensor()};
}

bool takes_turns(const at::Tensor& qkv, std::int64_t dim) {
    return is_bf16_on_gpu(qkv) && dim % kHeadDim == 0 && cuda::has_row_kernels(dim / kHeadDim);
}

TurnedQkv rotate_qkv(const at::Tensor& qkv, const at::Tensor& norm_q, const at::Tensor& norm_k, const Turns& turns,
                     double eps) {
    const variable_list results =
        TurnQkv::apply(qkv, norm_q, norm_k, turns.cos, turns.sin, turns.camera, turns.camera_inverse, eps);
    return {results[0], results[1], results[2]};
}

bool takes_heads(const at::Tensor& o) {
    return is_bf16_on_gpu(o) && o.size(3) == kHeadDim && o.size(2) % 2 == 0 && cuda::has_row_kernels(o.size(2) / 2);
}

at::Tensor unrotate_joined(const at::Tensor& o, const at::Tensor& camera) {
    const at::Tensor joined = UnturnHeads::apply(o, camera);
    return joined.flatten(2).unflatten(1, {camera.size(1), o.size(1) / camera.size(1)});
}

bool takes_attention(const at::Tensor& q, std::int64_t tokens) {
    return is_bf16_on_gpu(q) && q.size(3) == kHeadDim && tokens <= cuda::kMaxAttentionTokens &&
           cuda::attention_supports(q.get_device());
}

bool has_hopper(const at::Tensor& q) { return quant::cuda::hopper_supports(q.get_device()); }

at::Tensor clip_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, std::int64_t latents,
                          std::int64_t tokens, bool hopper) {
    return ClipAttention::apply(q, k, v, latents, tokens, hopper);
}

} // namespace wander::train::fused

#endif
