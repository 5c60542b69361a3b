#include "generator/train/train_dit.hpp"

#include <ATen/ATen.h>

namespace wander::train {
namespace {

// [sink | clean | noisy]: of a context's rows (dimension 1) the noisy latents take all but the sink's again.
at::Tensor with_noisy(const at::Tensor& of_context) {
    return at::cat({of_context, of_context.narrow(1, 1, of_context.size(1) - 1)}, 1);
}

} // namespace

TrainDit::TrainDit(const DitConfig& config, const LatentGeometry& geometry, Parameters& parameters,
                   at::ScalarType compute)
    : config_(config), geometry_(geometry), parameters_(&parameters), compute_(compute) {
    TORCH_CHECK(config.prope && config.action_label && config.pose_hidden > 0 && config.text_dim == 0,
                "TrainDit: trains networks with pose, map, label and PRoPE, without text");
    TORCH_CHECK(config.head_dim == kHeadDim && config.heads * config.head_dim == config.dim,
                "TrainDit: heads have 64 channels");
    features_ = PoseFeatures(config, geometry, parameters.device());
}

const RopeTable& TrainDit::rope(std::int64_t latents) const {
    if (rope_latents_ == latents) return rope_;
    const RopeTable slots = rope_table(config_, geometry_, 1 + latents, parameters_->device(), wide_type(compute_));
    const auto both = [&](const at::Tensor& table) { return at::cat({table, table.narrow(0, 1, latents)}); };
    rope_ = {both(slots.cos), both(slots.sin)};
    rope_latents_ = latents;
    return rope_;
}

at::Tensor TrainDit::velocity(const Clip& clip) const {
    const at::ScalarType wide = wide_type(compute_);
    const std::int64_t latents = clip.latents(), clean = 1 + latents, tokens = geometry_.tokens();
    const DitWeights w = dit_weights(*parameters_, config_, compute_);

    const at::Tensor still = at::full({clip.batch(), clean}, geometry_.context_timestep, clip.sigma.options());
    const at::Tensor timesteps = at::cat({still, clip.sigma * 1000}, 1);
    const Modulation modulation = modulation_of(w, config_, timesteps, with_noisy(clip.labels));

    // The first clean latent is where cameras are counted from, as good as any other place nearby.
    const at::Tensor anchor = clip.cameras.select(1, 1).narrow(1, 0, 2);
    const CameraMatrices cameras = camera_matrices(clip.cameras, anchor, geometry_.camera, wide);
    const RopeTable& rope = this->rope(latents);
    const Turns turns{rope.cos, rope.sin, with_noisy(cameras.projection), with_noisy(cameras.inverse)};

    const at::Tensor pose = pose_tokens(w, features_, clip.cameras, clip.worlds, clip.with_pose, compute_);
    at::Tensor x = w.patch(to_patches(at::cat({clip.context, clip.noisy}, 1).to(wide))) + with_noisy(pose);

    const double eps = config_.eps;
    at::Tensor h = norm_modulate(x, modulation.blocks[0][0], modulation.blocks[0][1], eps, compute_);
    const std::size_t last = w.blocks.size() - 1;
    for (std::size_t layer = 0; layer <= last; ++layer) {
        const BlockWeights& block = w.blocks[layer];
        std::array<at::Tensor, 6> factors = modulation.blocks[layer];
        const TurnedQkv turned = rotate_qkv(block.qkv(h), block.norm_q, block.norm_k, turns, eps);
        at::Tensor attended = clip_attention(turned.q, turned.k, turned.v, latents, tokens);
        at::Tensor projection = turns.camera;
        if (layer == last) { // nobody reads what the clean latents would become
            attended = attended.narrow(1, clean * tokens, latents * tokens).contiguous();
            projection = projection.narrow(1, clean, latents).contiguous();
            x = x.narrow(1, clean, latents).contiguous();
            for (at::Tensor& factor : factors) factor = factor.narrow(1, clean, latents).contiguous();
        }
        const at::Tensor y = block.out(unrotate_joined(attended, projection));
        const AddedAndNormed middle = gated_add_norm(x, y, factors[2], factors[3], factors[4], eps, compute_);
        const at::Tensor z = block.ffn_2(at::gelu(block.ffn_0(middle.h), "tanh"));
        if (layer < last) {
            const auto& next = modulation.blocks[layer + 1];
            const AddedAndNormed end = gated_add_norm(middle.x, z, factors[5], next[0], next[1], eps, compute_);
            x = end.x;
            h = end.h;
        } else {
            const auto noisy = [&](const at::Tensor& rows) { return rows.narrow(1, clean, latents).contiguous(); };
            h = gated_add_norm(middle.x, z, factors[5], noisy(modulation.head_shift), noisy(modulation.head_scale), eps,
                               wide)
                    .h;
        }
    }
    return from_patches(w.head(h), geometry_);
}

} // namespace wander::train
