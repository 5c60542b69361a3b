// One transformer block: self attention through the cache, text, feed forward (self-forcing.md 4.4, tiny-world.md 3).

#include "generator/wan/dit_weights.hpp"

#include <ATen/ATen.h>

namespace wander {

WanDit::Weights::Qkv WanDit::Weights::project(const DitBlock& block, const nn::Activation& normed,
                                              bool with_query) const {
    const std::int64_t dim = config.dim;
    const at::Tensor projected = with_query ? block.qkv(normed) : block.kv(normed);
    const auto heads_of = [&](const at::Tensor& rows) {
        return rows.unflatten(1, {std::int64_t{config.heads}, std::int64_t{config.head_dim}});
    };
    Qkv result;
    at::Tensor key = projected.narrow(1, with_query ? dim : 0, dim);
    if (with_query) {
        const nn::TwoRows normed_both =
            nn::rms_norm_both({projected.narrow(1, 0, dim), key}, block.norm_q, block.norm_k, config.eps);
        result.q = heads_of(normed_both.first);
        result.k = heads_of(normed_both.second);
    } else {
        result.k = heads_of(nn::rms_norm(key, block.norm_k, config.eps));
    }
    result.v = heads_of(projected.narrow(1, projected.size(1) - dim, dim));
    return result;
}

nn::Addend WanDit::Weights::self_attention(int layer, const nn::Activation& normed, quant::KvCache& cache,
                                           bool write) const {
    const DitBlock& block = blocks[static_cast<std::size_t>(layer)];
    const Qkv qkv = project(block, normed, true);
    // Written first: attention may write over q alone, but k and v are read as they are.
    if (write) cache.write(layer, qkv.k, qkv.v);
    const at::Tensor attended = cache.attend(layer, qkv.q, qkv.k, qkv.v); // [branches, n, heads, head_dim]
    return block.out.addend({attended.transpose(0, 1).flatten(1), {}});
}

nn::Addend WanDit::Weights::feed_forward(const DitBlock& block, const nn::Activation& normed) const {
    return block.ffn_out.addend(block.ffn_in.with_gelu(normed, block.ffn_out));
}

nn::Activation WanDit::Weights::run_block(int layer, at::Tensor& x, const nn::Activation& normed,
                                          const at::Tensor& factors, const NextNorm& next, quant::KvCache& cache,
                                          bool write) const {
    const DitBlock& block = blocks[static_cast<std::size_t>(layer)];
    nn::Addend y = self_attention(layer, normed, cache, write);
    at::Tensor gate = factors[2];
    if (config.text_dim > 0) {
        const nn::Activation h = nn::add_gated_norm(x, y, gate, block.norm3_bias, block.norm3_weight, config.eps,
                                                    block.cross_q.input_type());
        y = cross_attention(layer, h);
        gate.reset();
    }
    const nn::Activation h =
        nn::add_gated_norm(x, y, gate, factors[3], factors[4], config.eps, block.ffn_in.input_type());
    y = feed_forward(block, h);
    return nn::add_gated_norm(x, y, factors[5], next.shift, next.scale, config.eps, next.type);
}

// All that history needs of the last block: its keys and values.
void WanDit::Weights::write_last(const nn::Activation& normed, quant::KvCache& cache) const {
    const Qkv qkv = project(blocks.back(), normed, false);
    cache.write(config.layers - 1, qkv.k, qkv.v);
}

} // namespace wander
