#pragma once
// Attention of a text or picture encoder: all tokens of one sequence, in one call. On the calling thread's stream.

#include <ATen/core/Tensor.h>

#include <optional>

namespace wander::nn {

// softmax(q k^T * scale + bias) v with a softmax in float32 (double for double). q, k, v [1, heads, L, head_dim];
// bias, undefined for none, [1, heads, L, L] with rows padded to 16 values; scale: 1 / sqrt(head_dim) where none is
// given. causal: a query sees its own and earlier keys (only without a bias). [1, heads, L, head_dim].
at::Tensor encoder_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool causal,
                             const at::Tensor& bias = {}, std::optional<double> scale = std::nullopt);

} // namespace wander::nn
