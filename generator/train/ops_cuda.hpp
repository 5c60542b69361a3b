#pragma once
// The kernels of cuda/ops.hpp with their gradients, as autograd functions. `takes_*`: device, types and sizes fit.

#include "generator/train/ops.hpp"

namespace wander::train::fused {

// y and `shift` may be undefined: nothing is added, nothing is normed.
bool takes_rows(const at::Tensor& x, const at::Tensor& y, at::ScalarType out);
AddedAndNormed gated_add_norm(const at::Tensor& x, const at::Tensor& y, const at::Tensor& gate, const at::Tensor& shift,
                              const at::Tensor& scale, double eps);

bool takes_turns(const at::Tensor& qkv, std::int64_t dim);
TurnedQkv rotate_qkv(const at::Tensor& qkv, const at::Tensor& norm_q, const at::Tensor& norm_k, const Turns& turns,
                     double eps);

bool takes_heads(const at::Tensor& o);
at::Tensor unrotate_joined(const at::Tensor& o, const at::Tensor& camera);

bool takes_attention(const at::Tensor& q, std::int64_t tokens);
// The kernels for GPUs of compute capability 9.0 exactly, where q lies on one.
bool has_hopper(const at::Tensor& q);
at::Tensor clip_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, std::int64_t latents,
                          std::int64_t tokens, bool hopper);

} // namespace wander::train::fused
