#pragma once
// The differentiable pieces of a transformer block of the embedded world between its matrix products (tiny-world.md 3
// and 4). Matrix products and GELU are torch's own (at::linear, at::gelu(.., "tanh")).
//
// Shapes: B clips; N latents in a row, in training the sink, L clean ones, L noisy ones (N = 1 + 2 L); T tokens a
// latent; H heads of 64 channels, D = 64 H. The residual stream, shift, scale, gate, norms, rotations and cameras are
// float32 (double where everything is double); activations have the compute type: bfloat16, float32 or double.
//
// On an NVIDIA GPU with compute type bfloat16 each is one kernel forward and one backward (cuda/ops.hpp), whose sums
// have a fixed order: gradients are the same in every run. Everything else goes through wander::train::plain. Gradients
// reach every floating-point argument except rotations and cameras.

#include <ATen/core/Tensor.h>

namespace wander::train {

inline constexpr std::int64_t kHeadDim = 64;

// How queries and keys are turned. RoPE: interleaved pairs, one angle a pair of channels. PRoPE: every 4 consecutive
// channels are a vector.
struct Turns {
    at::Tensor cos, sin;               // [N, T, 32]
    at::Tensor camera, camera_inverse; // P and P^-1, [B, N, 4, 4]
};

struct TurnedQkv {
    at::Tensor q, k, v; // [B, N T, 2 H, 64]: H heads with RoPE, then the same H heads with PRoPE
};

struct Attended {
    at::Tensor rope, prope; // [B, N, T, D] each
};

// LN(x) * scale + shift in type `out`; "1 +" is part of scale. x [B, N, T, D], shift and scale [B, N, D].
at::Tensor norm_modulate(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale, double eps,
                         at::ScalarType out);

// RMS over D of q and k (times norm_q, norm_k [D]), then both forms of every head: RoPE(q), RoPE(k), v and
// P^T q, P^-1 k, P^-1 v. qkv [B, N, T, 3 D] as one matrix product with stacked weights (q, k, v) gives it.
TurnedQkv rotate_qkv(const at::Tensor& qkv, const at::Tensor& norm_q, const at::Tensor& norm_k, const Turns& turns,
                     double eps);
// The same for q, k, v [B, N, T, D] of three products. Slower: three gradients instead of one.
TurnedQkv rotate_qkv(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& norm_q,
                     const at::Tensor& norm_k, const Turns& turns, double eps);

// Teacher forcing: sink and clean latents see the clean ones up to themselves, noisy latent i sees the sink, the clean
// ones before i and itself. [B, N T, 2 H, 64] with N = 1 + 2 L; result of the same shape.
at::Tensor clip_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, std::int64_t latents,
                          std::int64_t tokens);

// o [B, N T, 2 H, 64] -> [B, N, T, 2 D]: RoPE heads as they are, then PRoPE heads times P. As one operand of a matrix
// product with the weights of both projections side by side: at::linear(unrotate_joined(..), cat({w_o, w_prope}, 1),
// b_o).
at::Tensor unrotate_joined(const at::Tensor& o, const at::Tensor& camera);
// The same as two views, for two products.
Attended unrotate(const at::Tensor& o, const at::Tensor& camera);

// x + gate * y. x [B, N, T, D], y of the compute type, gate [B, N, D].
at::Tensor gated_add(const at::Tensor& x, const at::Tensor& y, const at::Tensor& gate);

// gated_add and norm_modulate of its result in one pass over memory, also backward.
struct AddedAndNormed {
    at::Tensor x, h;
};
AddedAndNormed gated_add_norm(const at::Tensor& x, const at::Tensor& y, const at::Tensor& gate, const at::Tensor& shift,
                              const at::Tensor& scale, double eps, at::ScalarType out);

// Twins: autograd through ATen, on every device and in every type. Attention: one call for each latent.
namespace plain {
at::Tensor norm_modulate(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale, double eps,
                         at::ScalarType out);
TurnedQkv rotate_qkv(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& norm_q,
                     const at::Tensor& norm_k, const Turns& turns, double eps);
at::Tensor clip_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, std::int64_t latents,
                          std::int64_t tokens);
at::Tensor unrotate_joined(const at::Tensor& o, const at::Tensor& camera);
at::Tensor gated_add(const at::Tensor& x, const at::Tensor& y, const at::Tensor& gate);
} // namespace plain

} // namespace wander::train
