// One image block: both attention branches through the cache, feed forward (hy-worldplay.md 2.5).

#include "generator/hunyuan/hunyuan_dit_weights.hpp"
#include "generator/nn/head_norm.hpp"

#include <ATen/ATen.h>

namespace wander {

HunyuanDit::Weights::Qkv HunyuanDit::Weights::project(const HunyuanBlock& block, const nn::Activation& normed,
                                                      bool with_query) const {
    const std::int64_t dim = config.dim;
    const at::Tensor projected = with_query ? block.qkv(normed) : block.kv(normed);
    const auto heads_of = [&](const at::Tensor& rows) {
        return rows.unflatten(1, {std::int64_t{config.heads}, std::int64_t{config.head_dim}});
    };
    Qkv result;
    const at::Tensor key = projected.narrow(1, with_query ? dim : 0, dim);
    if (with_query) {
        const nn::TwoRows both =
            nn::head_norm_both({projected.narrow(1, 0, dim), key}, block.norm_q, block.norm_k, config.eps);
        result.q = heads_of(both.first);
        result.k = heads_of(both.second);
    } else {
        result.k = heads_of(nn::head_norm(key, block.norm_k, config.eps));
    }
    result.v = heads_of(projected.narrow(1, projected.size(1) - dim, dim));
    return result;
}

at::Tensor HunyuanDit::Weights::attend(int layer, const nn::Activation& normed, const Attending& attending) const {
    Qkv qkv = project(blocks[static_cast<std::size_t>(layer)], normed, true);
    if (attending.split) {
        std::vector<at::Tensor> all = attending.split->tokens_to_heads({qkv.q, qkv.k, qkv.v});
        qkv = {std::move(all[0]), std::move(all[1]), std::move(all[2])};
    }
    // Written first: attention may write over q alone, but k and v are read as they are.
    if (attending.write) attending.cache.write(layer, qkv.k, qkv.v);
    const at::Tensor branches = attending.cache.attend(layer, qkv.q, qkv.k, qkv.v); // [2, n, heads, head_dim]
    const std::int64_t tokens = normed.values.size(0);
    const at::Tensor rows = attending.split ? attending.split->heads_to_tokens(branches, attending.first_token, tokens)
                                            : branches.transpose(0, 1);
    return rows.view({tokens, std::int64_t{2} * config.dim}); // both branches side by side already
}

nn::Activation HunyuanDit::Weights::run_block(int layer, at::Tensor& x, const nn::Activation& normed,
                                              const at::Tensor& factors, const NextNorm& next,
                                              const Attending& attending) const {
    const HunyuanBlock& block = blocks[static_cast<std::size_t>(layer)];
    const nn::Addend attended = block.out.addend({attend(layer, normed, attending), {}});
    const nn::Activation h =
        nn::add_gated_norm(x, attended, factors[2], factors[3], factors[4], config.eps, block.mlp_in.input_type());
    const nn::Addend fed = block.mlp_out.addend(block.mlp_in.with_gelu(h, block.mlp_out));
    return nn::add_gated_norm(x, fed, factors[5], next.shift, next.scale, config.eps, next.type);
}

} // namespace wander
