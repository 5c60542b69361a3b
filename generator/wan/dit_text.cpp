// Text: projection and cross attention (self-forcing.md 4.3, 4.7).

#include "generator/nn/rows.hpp"
#include "generator/wan/dit_weights.hpp"

#include <ATen/ATen.h>

#include <cmath>

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

nn::TextKeys WanDit::Weights::cross_text(const DitBlock& block, const at::Tensor& context, double last_bias) const {
    const std::vector<std::int64_t> shape = {context.size(0), config.heads, config.head_dim};
    nn::TextKeys keys;
    keys.keys = nn::rms_norm(block.cross_k(context), block.cross_norm_k, config.eps).view(shape);
    keys.values = block.cross_v(context).view(shape);
    keys.last_bias = last_bias;
    nn::prepare_for_kernel(keys, block.cross_norm_q);
    return keys;
}

void WanDit::set_text(const at::Tensor& embedding) {
    Weights& w = *weights_;
    at::Tensor context = w.embed_text(embedding);
    // All padding is one position, attended as often as it occurs. A GPU has no fast way to say so for long texts.
    const std::int64_t padding = w.config.text_len - embedding.size(0);
    const std::int64_t most = nn::most_keys_of_kernel(w.device, w.compute, w.config.head_dim);
    double last_bias = 0;
    if (padding > 1 && (w.device.is_cpu() || embedding.size(0) + 1 <= most)) {
        context = context.narrow(0, 0, embedding.size(0) + 1);
        last_bias = std::log(static_cast<double>(padding));
    }
    std::vector<nn::TextKeys> text;
    for (const DitBlock& block : w.blocks) text.push_back(w.cross_text(block, context, last_bias));
    w.text = std::move(text);
}

// Padding is attended like any other position: it has its own non-zero key after the projection.
nn::Addend WanDit::Weights::cross_attention(int layer, const nn::Activation& normed) const {
    const auto index = static_cast<std::size_t>(layer);
    TORCH_CHECK(index < text.size(), "WanDit: set_text() before the first pass");
    const DitBlock& block = blocks[index];
    const at::Tensor attended = nn::text_attention(block.cross_q(normed), block.cross_norm_q, text[index], config.eps);
    return block.cross_out.addend({attended, {}});
}

} // namespace wander
