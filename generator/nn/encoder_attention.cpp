#include "generator/nn/encoder_attention.hpp"

#include <ATen/ATen.h>
#include <ATen/ops/_scaled_dot_product_attention_math.h>
#include <ATen/ops/_scaled_dot_product_efficient_attention.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include <tuple>

namespace wander::nn {

at::Tensor encoder_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool causal,
                             const at::Tensor& bias, std::optional<double> scale) {
    const std::optional<at::Tensor> mask = bias.defined() ? std::optional(bias) : std::nullopt;
    const bool small = q.scalar_type() == at::kBFloat16 || q.scalar_type() == at::kHalf;
    if (q.is_cuda() && small && q.size(3) % 8 == 0) {
        // Named, not left to torch's choice: cuDNN's builds a plan for every new length.
        return std::get<0>(at::_scaled_dot_product_efficient_attention(q, k, v, mask, false, 0.0, causal, scale));
    }
    if (q.is_cuda()) {
        return std::get<0>(at::_scaled_dot_product_attention_math(q, k, v, mask, 0.0, causal, std::nullopt, scale));
    }
    return at::scaled_dot_product_attention(q, k, v, mask, 0.0, causal, scale);
}

} // namespace wander::nn
