#pragma once
// Attention to a text whose keys are ready: the queries' RMS norm, the softmax, the values.
//
// The padding of a text is attended like any other position (self-forcing.md 4.3), and all of it has one key and one
// value. They are kept once, as the last key, whose logit then gets ln(count): the same sums with fewer keys.

#include <ATen/core/Tensor.h>

namespace wander::nn {

struct TextKeys {
    at::Tensor keys, values; // [count, heads, head_dim], compute type; keys after their RMS norm, no RoPE
    at::Tensor weighted;     // keys times the queries' RMS weight; defined where the GPU's kernel takes them
    double last_bias = 0;    // of the last key's logit
};

// The kernel's form of the keys, where it has one. query_weight: [heads * head_dim] float32.
void prepare_for_kernel(TextKeys& text, const at::Tensor& query_weight);
// Most keys that the kernel is the fastest for; 0 without one for this place, type and head dimension.
std::int64_t most_keys_of_kernel(at::Device device, at::ScalarType type, std::int64_t head_dim);

// rows: queries before their norm, [n, heads * head_dim]. Returns the same shape.
at::Tensor text_attention(const at::Tensor& rows, const at::Tensor& query_weight, const TextKeys& text, double eps);

namespace plain {
at::Tensor text_attention(const at::Tensor& rows, const at::Tensor& query_weight, const TextKeys& text, double eps);
} // namespace plain

} // namespace wander::nn
