#include "generator/train/ops.hpp"

#if WANDER_CUDA
#include "generator/train/ops_cuda.hpp"
#endif

#include <ATen/ATen.h>

#include <vector>

namespace wander::train {

at::Tensor norm_modulate(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale, double eps,
                         at::ScalarType out) {
#if WANDER_CUDA
    if (fused::takes_rows(x, {}, out)) return fused::gated_add_norm(x, {}, {}, shift, scale, eps).h;
#endif
    return plain::norm_modulate(x, shift, scale, eps, out);
}

TurnedQkv rotate_qkv(const at::Tensor& qkv, const at::Tensor& norm_q, const at::Tensor& norm_k, const Turns& turns,
                     double eps) {
#if WANDER_CUDA
    if (fused::takes_turns(qkv, qkv.size(3) / 3)) return fused::rotate_qkv(qkv, norm_q, norm_k, turns, eps);
#endif
    const std::vector<at::Tensor> parts = qkv.chunk(3, 3);
    return plain::rotate_qkv(parts[0], parts[1], parts[2], norm_q, norm_k, turns, eps);
}

TurnedQkv rotate_qkv(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& norm_q,
                     const at::Tensor& norm_k, const Turns& turns, double eps) {
#if WANDER_CUDA
    if (fused::takes_turns(q, q.size(3))) return fused::rotate_qkv(at::cat({q, k, v}, 3), norm_q, norm_k, turns, eps);
#endif
    return plain::rotate_qkv(q, k, v, norm_q, norm_k, turns, eps);
}

at::Tensor clip_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, std::int64_t latents,
                          std::int64_t tokens) {
#if WANDER_CUDA
    if (fused::takes_attention(q, tokens)) return fused::clip_attention(q, k, v, latents, tokens, fused::has_hopper(q));
#endif
    return plain::clip_attention(q, k, v, latents, tokens);
}

at::Tensor unrotate_joined(const at::Tensor& o, const at::Tensor& camera) {
#if WANDER_CUDA
    if (fused::takes_heads(o)) return fused::unrotate_joined(o, camera);
#endif
    return plain::unrotate_joined(o, camera);
}

Attended unrotate(const at::Tensor& o, const at::Tensor& camera) {
    const std::vector<at::Tensor> halves = unrotate_joined(o, camera).chunk(2, 3);
    return {halves[0], halves[1]};
}

at::Tensor gated_add(const at::Tensor& x, const at::Tensor& y, const at::Tensor& gate) {
#if WANDER_CUDA
    if (fused::takes_rows(x, y, at::kBFloat16)) return fused::gated_add_norm(x, y, gate, {}, {}, 0.0).x;
#endif
    return plain::gated_add(x, y, gate);
}

AddedAndNormed gated_add_norm(const at::Tensor& x, const at::Tensor& y, const at::Tensor& gate, const at::Tensor& shift,
                              const at::Tensor& scale, double eps, at::ScalarType out) {
#if WANDER_CUDA
    if (fused::takes_rows(x, y, out)) return fused::gated_add_norm(x, y, gate, shift, scale, eps);
#endif
    const at::Tensor sum = gated_add(x, y, gate);
    return {sum, norm_modulate(sum, shift, scale, eps, out)};
}

} // namespace wander::train
