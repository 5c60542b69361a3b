// One transformer block: self attention through the cache, text, feed forward (self-forcing.md 4.4, tiny-world.md 3).

#include "generator/nn/rows.hpp"
#include "generator/wan/dit_weights.hpp"

#include <ATen/ATen.h>

namespace wander {

WanDit::Weights::Qkv WanDit::Weights::project(const DitBlock& block, const at::Tensor& normed, bool with_query) const {
    const std::vector<std::int64_t> shape = {normed.size(0), config.heads, config.head_dim};
    const at::Tensor projected = with_query ? block.qkv(normed) : block.kv(normed);
    const auto part = [&](int index) {
        return projected.narrow(1, static_cast<std::int64_t>(index) * config.dim, config.dim);
    };
    const int first = with_query ? 1 : 0;
    Qkv result;
    if (with_query) result.q = nn::rms_norm(part(0), block.norm_q, config.eps).view(shape);
    result.k = nn::rms_norm(part(first), block.norm_k, config.eps).view(shape);
    result.v = part(first + 1).contiguous().view(shape);
    return result;
}

at::Tensor WanDit::Weights::self_attention(int layer, const at::Tensor& normed, quant::KvCache& cache,
                                           bool write) const {
    const DitBlock& block = blocks[static_cast<std::size_t>(layer)];
    const Qkv qkv = project(block, normed, true);
    const at::Tensor attended = cache.attend(layer, qkv.q, qkv.k, qkv.v);
    if (write) cache.write(layer, qkv.k, qkv.v);
    at::Tensor out = block.out.to_stream(attended.select(0, 0).flatten(1));
    if (config.prope) block.prope_out.add_to(out, attended.select(0, 1).flatten(1));
    return out;
}

at::Tensor WanDit::Weights::feed_forward(const DitBlock& block, const at::Tensor& normed) const {
    at::Tensor hidden = block.ffn_in(normed);
    nn::gelu_(hidden);
    return block.ffn_out.to_stream(hidden);
}

void WanDit::Weights::run_block(int layer, at::Tensor& x, const at::Tensor& factors, quant::KvCache& cache,
                                bool write) const {
    const DitBlock& block = blocks[static_cast<std::size_t>(layer)];
    at::Tensor normed = nn::modulated_norm(x, factors[0], factors[1], config.eps, compute);
    nn::add_gated(x, self_attention(layer, normed, cache, write), factors[2]);
    if (config.text_dim > 0) x.add_(cross_attention(layer, x));
    normed = nn::modulated_norm(x, factors[3], factors[4], config.eps, compute);
    nn::add_gated(x, feed_forward(block, normed), factors[5]);
}

// All that history needs of the last block: its keys and values.
void WanDit::Weights::write_last(at::Tensor& x, const at::Tensor& factors, quant::KvCache& cache) const {
    const at::Tensor normed = nn::modulated_norm(x, factors[0], factors[1], config.eps, compute);
    const Qkv qkv = project(blocks.back(), normed, false);
    cache.write(config.layers - 1, qkv.k, qkv.v);
}

} // namespace wander
