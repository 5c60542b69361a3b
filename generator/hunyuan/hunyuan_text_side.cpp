#include "generator/hunyuan/hunyuan_text_side.hpp"

#include "generator/hunyuan/hunyuan_text_weights.hpp"
#include "generator/nn/head_norm.hpp"
#include "generator/nn/rows.hpp"

#include <ATen/ATen.h>

namespace wander {
namespace {

constexpr double kMapperEps = 1e-5; // of the norms in the glyph and picture mappers
enum TypeRow { kText, kGlyph, kVision };

} // namespace

std::int64_t HunyuanTextCache::bytes() const {
    std::int64_t bytes = 0;
    for (const quant::TextRows& rows : layers)
        bytes += static_cast<std::int64_t>(rows.keys.nbytes() + rows.values.nbytes());
    return bytes;
}

HunyuanTextCache HunyuanTextCache::to(at::Device device) const {
    HunyuanTextCache moved;
    for (const quant::TextRows& rows : layers) moved.layers.push_back({rows.keys.to(device), rows.values.to(device)});
    return moved;
}

at::Tensor HunyuanNorm::operator()(const at::Tensor& x, double eps) const {
    return at::layer_norm(x, {x.size(1)}, weight, bias, eps);
}

at::Tensor HunyuanTextSide::Weights::attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) const {
    const auto heads_first = [&](const at::Tensor& rows) {
        return rows.unflatten(1, {std::int64_t{config.heads}, std::int64_t{config.head_dim}})
            .transpose(0, 1)
            .unsqueeze(0);
    };
    return at::scaled_dot_product_attention(heads_first(q), heads_first(k), heads_first(v))[0].transpose(0, 1).reshape(
        {q.size(0), config.dim});
}

at::Tensor HunyuanTextSide::refined(const at::Tensor& text) const {
    const Weights& w = *weights_;
    TORCH_CHECK(text.defined() && text.dim() == 2 && text.size(0) > 0 && text.size(1) == w.config.text_dim,
                "HunyuanTextSide: a prompt is [at least 1, ", w.config.text_dim, "]");
    const at::Tensor states = text.to(w.device, w.compute);
    const at::Tensor mean = states.to(w.wide).mean(0, true).to(w.compute);
    const at::Tensor condition =
        w.refiner_time({0.0}, w.device, w.wide) + w.refiner_text_2(at::silu(w.refiner_text_1(mean))).to(w.wide);
    const at::Tensor active = at::silu(condition).to(w.compute);
    const std::int64_t dim = w.config.dim;
    at::Tensor x = w.text_in(states).to(w.wide);
    for (const HunyuanRefinerBlock& block : w.refiner) {
        const at::Tensor gates = block.gates(active).to(w.wide); // attention, feed forward
        const at::Tensor qkv = block.qkv(block.norm1(x, w.config.eps).to(w.compute));
        const at::Tensor attended =
            w.attention(qkv.narrow(1, 0, dim), qkv.narrow(1, dim, dim), qkv.narrow(1, 2 * dim, dim));
        x = x + gates.narrow(1, 0, dim) * block.out(attended).to(w.wide);
        const at::Tensor hidden = at::silu(block.mlp_in(block.norm2(x, w.config.eps).to(w.compute)));
        x = x + gates.narrow(1, dim, dim) * block.mlp_out(hidden).to(w.wide);
    }
    return x;
}

at::Tensor HunyuanTextSide::mapped_glyph(const at::Tensor& glyph) const {
    const Weights& w = *weights_;
    TORCH_CHECK(w.config.glyph_dim > 0, "HunyuanTextSide: this model has no glyph mapper");
    TORCH_CHECK(glyph.dim() == 2 && glyph.size(1) == w.config.glyph_dim, "HunyuanTextSide: glyph states are [n, ",
                w.config.glyph_dim, "]");
    const at::Tensor normed = w.glyph_norm(glyph.to(w.device, w.wide), kMapperEps).to(w.compute);
    return w.glyph_3(at::gelu(w.glyph_2(at::gelu(w.glyph_1(normed))))).to(w.wide);
}

at::Tensor HunyuanTextSide::mapped_vision(const at::Tensor& vision) const {
    const Weights& w = *weights_;
    TORCH_CHECK(vision.dim() == 2 && vision.size(1) == w.config.vision_dim, "HunyuanTextSide: picture states are [n, ",
                w.config.vision_dim, "]");
    const at::Tensor normed = w.vision_norm_in(vision.to(w.device, w.wide), kMapperEps).to(w.compute);
    return w.vision_norm_out(w.vision_2(at::gelu(w.vision_1(normed))).to(w.wide), kMapperEps);
}

at::Tensor HunyuanTextSide::sequence(const HunyuanPrompt& prompt) const {
    const at::Tensor& types = weights_->types;
    std::vector<at::Tensor> parts;
    if (prompt.vision.defined()) parts.push_back(mapped_vision(prompt.vision) + types[kVision]);
    if (prompt.glyph.defined() && prompt.glyph.size(0) > 0) parts.push_back(mapped_glyph(prompt.glyph) + types[kGlyph]);
    parts.push_back(refined(prompt.text) + types[kText]);
    return at::cat(parts);
}

HunyuanTextCache HunyuanTextSide::encode(
    const HunyuanPrompt& prompt, const std::function<void(int layer, const at::Tensor& stream)>& on_block) const {
    const Weights& w = *weights_;
    const std::int64_t dim = w.config.dim;
    at::Tensor x = sequence(prompt);
    HunyuanTextCache cache;
    for (int layer = 0; layer < w.config.layers; ++layer) {
        const HunyuanTextBlock& block = w.blocks[static_cast<std::size_t>(layer)];
        const at::Tensor normed = nn::modulated_norm(x, block.factors[0], block.factors[1], w.config.eps, w.compute);
        const at::Tensor qkv = block.qkv(normed);
        const nn::TwoRows both = nn::head_norm_both({qkv.narrow(1, 0, dim), qkv.narrow(1, dim, dim)}, block.norm_q,
                                                    block.norm_k, w.config.eps);
        const at::Tensor values = qkv.narrow(1, 2 * dim, dim);
        const auto kept = [&](const at::Tensor& rows) {
            return rows.unflatten(1, {std::int64_t{w.config.heads}, std::int64_t{w.config.head_dim}})
                .clone(at::MemoryFormat::Contiguous);
        };
        cache.layers.push_back({kept(both.second), kept(values)});
        if (layer + 1 == w.config.layers) break;
        nn::add_gated(x, block.out(w.attention(both.first, both.second, values)), block.factors[2]);
        at::Tensor hidden =
            block.mlp_in(nn::modulated_norm(x, block.factors[3], block.factors[4], w.config.eps, w.compute));
        nn::gelu_(hidden);
        nn::add_gated(x, block.mlp_out(hidden), block.factors[5]);
        if (on_block) on_block(layer, x);
    }
    return cache;
}

} // namespace wander
