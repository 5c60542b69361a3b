// One pass over the latents of a chunk or of a context: tokens in, blocks, last layer, latents out.

#include "generator/hunyuan/hunyuan_dit_weights.hpp"

#include <ATen/ATen.h>

namespace wander {

// Channels of a token: its latent's, the start picture's and the mask, which are zero beside the picture's own latent.
at::Tensor HunyuanDit::Weights::embed_tokens(const at::Tensor& latents, const at::Tensor& picture) const {
    const std::int64_t f = latents.size(0), c = config.channels, h = latents.size(2), w = latents.size(3);
    at::Tensor input = at::zeros({f, 2 * c + 1, h, w}, at::TensorOptions().device(device).dtype(wide));
    input.narrow(1, 0, c).copy_(latents);
    if (picture.defined()) {
        input[0].narrow(0, c, c).copy_(picture[0]);
        input[0][2 * c].fill_(1);
    }
    return patch(input.permute({0, 2, 3, 1}).reshape({f * h * w, 2 * c + 1}));
}

at::Tensor HunyuanDit::forward(const WorldPlayPass& pass, quant::KvCache& cache) const {
    const Weights& w = *weights_;
    const at::Tensor& latents = pass.latents;
    TORCH_CHECK(latents.dim() == 4 && latents.size(1) == w.config.channels, "HunyuanDit: latents must be [F, ",
                w.config.channels, ", h, w]");
    TORCH_CHECK(std::ssize(pass.timesteps) == latents.size(0) && pass.labels.size() == pass.timesteps.size(),
                "HunyuanDit: one timestep and one label for each latent");
    TORCH_CHECK(!pass.token_bias.defined(), "HunyuanDit: takes no token bias");
    TORCH_CHECK(!pass.picture.defined() || (pass.picture.dim() == 4 && pass.picture.size(0) == 1 &&
                                            pass.picture[0].sizes() == latents[0].sizes()),
                "HunyuanDit: a picture is one latent of the same size");

    // The rows of this device: all of them, or its share of the latents.
    const std::int64_t area = latents.size(2) * latents.size(3);
    const HeadSplit::Latents share = split_ ? split_->own(latents.size(0)) : HeadSplit::Latents{0, latents.size(0)};
    DitPass own;
    own.timesteps.assign(pass.timesteps.begin() + share.first, pass.timesteps.begin() + share.first + share.count);
    own.labels.assign(pass.labels.begin() + share.first, pass.labels.begin() + share.first + share.count);
    const Weights::Attending attending{cache, pass.context, split_.get(), share.first * area};

    const Weights::Modulation factors = w.modulation_of(own);
    at::Tensor x =
        w.embed_tokens(latents.narrow(0, share.first, share.count), share.first == 0 ? pass.picture : at::Tensor());
    const int last = w.config.layers - 1;
    const auto norm_before = [&](int layer) -> Weights::NextNorm {
        if (layer > last) return {factors.head[0], factors.head[1], w.wide};
        return {factors.blocks[layer][0], factors.blocks[layer][1],
                w.blocks[static_cast<std::size_t>(layer)].qkv.input_type()};
    };
    const Weights::NextNorm first = norm_before(0);
    nn::Activation normed = nn::add_gated_norm(x, at::Tensor(), {}, first.shift, first.scale, w.config.eps, first.type);
    for (int layer = 0; layer < last; ++layer) {
        normed = w.run_block(layer, x, normed, factors.blocks[layer], norm_before(layer + 1), attending);
        if (pass.between_blocks) pass.between_blocks();
    }
    if (pass.context) {
        Weights::Qkv kept = w.project(w.blocks.back(), normed, false);
        if (split_) {
            std::vector<at::Tensor> all = split_->tokens_to_heads({kept.k, kept.v});
            kept = {{}, std::move(all[0]), std::move(all[1])};
        }
        cache.write(last, kept.k, kept.v);
        return {};
    }
    normed = w.run_block(last, x, normed, factors.blocks[last], norm_before(last + 1), attending);
    const at::Tensor flow = w.head(normed.values);
    return (split_ ? split_->gather(flow) : flow)
        .view({latents.size(0), latents.size(2), latents.size(3), w.config.channels})
        .permute({0, 3, 1, 2})
        .contiguous();
}

} // namespace wander
