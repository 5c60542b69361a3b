// Text: projection and cross attention (self-forcing.md 4.3, 4.7).

#include "generator/nn/rows.hpp"
#include "generator/wan/dit_weights.hpp"

#include <ATen/ATen.h>

namespace wander {

at::Tensor WanDit::Weights::embed_text(const at::Tensor& embedding) const {
    TORCH_CHECK(config.text_dim > 0, "WanDit: this model takes no text");
    TORCH_CHECK(embedding.dim() == 2 && embedding.size(0) <= config.text_len && embedding.size(1) == config.text_dim,
                "WanDit: a text embedding is [at most ", config.text_len, ", ", config.text_dim, "]");
    at::Tensor padded =
        at::zeros({config.text_len, config.text_dim}, at::TensorOptions().device(device).dtype(compute));
    padded.narrow(0, 0, embedding.size(0)).copy_(embedding);
    at::Tensor hidden = text_0(padded);
    nn::gelu_(hidden);
    return text_2(hidden);
}

CrossText WanDit::Weights::cross_text(const DitBlock& block, const at::Tensor& context) const {
    const std::vector<std::int64_t> shape = {config.text_len, config.heads, config.head_dim};
    return {nn::rms_norm(block.cross_k(context), block.cross_norm_k, config.eps).view(shape),
            block.cross_v(context).view(shape)};
}

void WanDit::set_text(const at::Tensor& embedding) {
    const at::Tensor context = weights_->embed_text(embedding);
    weights_->text.clear();
    for (const DitBlock& block : weights_->blocks) weights_->text.push_back(weights_->cross_text(block, context));
}

// Padding is attended like any other position: it has its own non-zero key after the projection.
nn::Addend WanDit::Weights::cross_attention(int layer, const nn::Activation& normed) const {
    const auto index = static_cast<std::size_t>(layer);
    TORCH_CHECK(index < text.size(), "WanDit: set_text() before the first pass");
    const DitBlock& block = blocks[index];
    const at::Tensor q = nn::rms_norm(block.cross_q(normed), block.cross_norm_q, config.eps);
    const auto heads_first = [&](const at::Tensor& rows) {
        return rows.view({1, -1, config.heads, config.head_dim}).transpose(1, 2);
    };
    const at::Tensor attended = at::scaled_dot_product_attention(heads_first(q), heads_first(text[index].keys),
                                                                 heads_first(text[index].values));
    return block.cross_out.addend({attended.transpose(1, 2).reshape({-1, config.dim}), {}});
}

} // namespace wander
