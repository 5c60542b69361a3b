#include "generator/train/ops.hpp"

#include <ATen/ATen.h>

#include <vector>

namespace wander::train::plain {
namespace {

at::Tensor widen(const at::Tensor& x) { return x.scalar_type() == at::kDouble ? x : x.to(at::kFloat); }

// [B, N, T, D] -> [B, N, T, H, 64]
at::Tensor heads(const at::Tensor& x) { return x.unflatten(3, {x.size(3) / kHeadDim, kHeadDim}); }

at::Tensor rms(const at::Tensor& x, const at::Tensor& weight, double eps) {
    const at::Tensor wide = widen(x);
    return wide * at::rsqrt(wide.square().mean(-1, true) + eps) * weight;
}

at::Tensor rope(const at::Tensor& x, const Turns& turns) {
    const at::Tensor pairs = x.unflatten(-1, {32, 2});
    const at::Tensor a = pairs.select(-1, 0), b = pairs.select(-1, 1);
    const at::Tensor cos = turns.cos.unsqueeze(2), sin = turns.sin.unsqueeze(2);
    return at::stack({a * cos - b * sin, a * sin + b * cos}, -1).flatten(-2);
}

// Matrix [B, N, 4, 4] times every four channels of x [B, N, T, H, 64].
at::Tensor times(const at::Tensor& matrix, const at::Tensor& x) {
    const at::Tensor vectors = x.unflatten(-1, {16, 4}).unsqueeze(-2);
    return (vectors * matrix.unsqueeze(2).unsqueeze(2).unsqueeze(2)).sum(-1).flatten(-2);
}

// Both forms as [B, N T, 2 H, 64].
at::Tensor joined(const at::Tensor& rope_form, const at::Tensor& prope_form, at::ScalarType type) {
    return at::cat({rope_form.to(type), prope_form.to(type)}, 3).flatten(1, 2);
}

} // namespace

at::Tensor norm_modulate(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale, double eps,
                         at::ScalarType out) {
    return (at::layer_norm(x, {x.size(3)}, {}, {}, eps) * scale.unsqueeze(2) + shift.unsqueeze(2)).to(out);
}

TurnedQkv rotate_qkv(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& norm_q,
                     const at::Tensor& norm_k, const Turns& turns, double eps) {
    const at::Tensor wide_q = heads(rms(q, norm_q, eps)), wide_k = heads(rms(k, norm_k, eps)), wide_v = heads(widen(v));
    const at::ScalarType type = q.scalar_type();
    return {joined(rope(wide_q, turns), times(turns.camera.transpose(2, 3), wide_q), type),
            joined(rope(wide_k, turns), times(turns.camera_inverse, wide_k), type),
            joined(wide_v, times(turns.camera_inverse, wide_v), type)};
}

at::Tensor clip_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, std::int64_t latents,
                          std::int64_t tokens) {
    const std::int64_t clean_latents = 1 + latents;
    std::vector<at::Tensor> parts;
    for (std::int64_t latent = 0; latent < clean_latents + latents; ++latent) {
        const std::int64_t before = latent < clean_latents ? latent : latent - latents; // clean ones it sees
        const auto seen = [&](const at::Tensor& x) {
            return at::cat({x.narrow(1, 0, before * tokens), x.narrow(1, latent * tokens, tokens)}, 1).transpose(1, 2);
        };
        const at::Tensor query = q.narrow(1, latent * tokens, tokens).transpose(1, 2);
        parts.push_back(at::scaled_dot_product_attention(query, seen(k), seen(v)).transpose(1, 2));
    }
    return at::cat(parts, 1);
}

at::Tensor unrotate_joined(const at::Tensor& o, const at::Tensor& camera) {
    const std::int64_t batch = camera.size(0), latents = camera.size(1), half = o.size(2) / 2;
    const at::Tensor rows = o.unflatten(1, {latents, o.size(1) / latents}); // [B, N, T, 2 H, 64]
    const at::Tensor turned = times(camera, widen(rows.narrow(3, half, half))).to(o.scalar_type());
    return at::cat({rows.narrow(3, 0, half), turned}, 3).reshape({batch, latents, rows.size(2), 2 * half * kHeadDim});
}

at::Tensor gated_add(const at::Tensor& x, const at::Tensor& y, const at::Tensor& gate) {
    return x + gate.unsqueeze(2) * y.to(x.scalar_type());
}

} // namespace wander::train::plain
