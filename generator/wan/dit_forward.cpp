// One pass over the latents of a chunk: patches in, blocks, head, patches out.

#include "generator/nn/rows.hpp"
#include "generator/wan/dit_weights.hpp"

#include <ATen/ATen.h>

namespace wander {

at::Tensor WanDit::Weights::embed_patches(const at::Tensor& latents) const {
    const std::int64_t f = latents.size(0), c = latents.size(1), h = latents.size(2) / 2, w = latents.size(3) / 2;
    const at::Tensor patches = latents.to(device, wide).reshape({f, c, h, 2, w, 2}).permute({0, 2, 4, 1, 3, 5});
    return patch(patches.reshape({f * h * w, c * 4}));
}

at::Tensor WanDit::Weights::unpatchify(const at::Tensor& tokens, std::int64_t latents, std::int64_t height,
                                       std::int64_t width) const {
    return tokens.view({latents, height / 2, width / 2, 2, 2, config.channels})
        .permute({0, 5, 1, 3, 2, 4})
        .reshape({latents, config.channels, height, width});
}

at::Tensor WanDit::forward(const DitPass& pass, quant::KvCache& cache) const {
    const Weights& w = *weights_;
    const at::Tensor& latents = pass.latents;
    TORCH_CHECK(latents.dim() == 4 && latents.size(1) == w.config.channels && latents.size(2) % 2 == 0 &&
                    latents.size(3) % 2 == 0,
                "WanDit: latents must be [F, ", w.config.channels, ", even, even]");
    TORCH_CHECK(static_cast<std::int64_t>(pass.timesteps.size()) == latents.size(0),
                "WanDit: one timestep for each latent");
    TORCH_CHECK(!w.config.action_label || pass.labels.size() == pass.timesteps.size(),
                "WanDit: one label for each latent");

    const DitModulation factors = w.modulation_of(pass);
    at::Tensor x = w.embed_patches(latents);
    if (pass.token_bias.defined()) x.add_(pass.token_bias);
    const int last = w.config.layers - 1;
    const auto norm_before = [&](int layer) -> Weights::NextNorm {
        if (layer > last) return {factors.head[0], factors.head[1], w.wide};
        return {factors.blocks[layer][0], factors.blocks[layer][1],
                w.blocks[static_cast<std::size_t>(layer)].qkv.input_type()};
    };
    const Weights::NextNorm first = norm_before(0);
    nn::Activation normed = nn::add_gated_norm(x, at::Tensor(), {}, first.shift, first.scale, w.config.eps, first.type);
    for (int layer = 0; layer < last; ++layer) {
        normed = w.run_block(layer, x, normed, factors.blocks[layer], norm_before(layer + 1), cache, pass.context);
        if (pass.between_blocks) pass.between_blocks();
    }
    if (pass.context) {
        w.write_last(normed, cache);
        return {};
    }
    normed = w.run_block(last, x, normed, factors.blocks[last], norm_before(last + 1), cache, false);
    return w.unpatchify(w.head(normed.values), latents.size(0), latents.size(2), latents.size(3));
}

} // namespace wander
