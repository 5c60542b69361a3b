#include "generator/evaluate/model_walk.hpp"

#include <ATen/ATen.h>

#include <utility>

namespace wander::evaluate {

GuidedWalk::GuidedWalk(const EvaluatedWorld& world, int place, const TrueWalk& walk) : walk_(&walk) {
    tokens_.reserve(walk.poses.size());
    for (const Pose& p : walk.poses) {
        tokens_.push_back(world.dit->pose_tokens(p.x, p.z, p.yaw, p.pitch, place, world.world.token_rows(),
                                                 world.world.token_cols()));
    }
}

ChunkInput GuidedWalk::input(int k, bool with_pose) const {
    const auto at = static_cast<std::size_t>(k);
    ChunkInput input;
    input.latents = 1;
    input.labels = {walk_->labels[at]};
    input.poses = {walk_->poses[at]};
    if (with_pose) input.token_bias = tokens_[at];
    return input;
}

std::vector<WalkVariant> variants_of(const EvaluationOptions& options) {
    std::vector<WalkVariant> variants;
    for (const std::string& format : options.formats) variants.push_back({.name = format, .format = format});
    if (options.fp8) {
        variants.push_back({.name = "FP8 weights", .fp8_weights = true});
        variants.push_back({.name = "FP8 attention", .fp8_attention = true});
        variants.push_back({.name = "FP8 weights and attention", .fp8_weights = true, .fp8_attention = true});
    }
    return variants;
}

Result<std::unique_ptr<Rollout>> open_rollout(const EvaluatedWorld& world, const WalkVariant& variant,
                                              std::uint64_t seed) {
    quant::CachePolicy policy; // everything else as the program has it at first
    policy.format = variant.format;
    if (variant.fp8_attention) policy.attention = quant::AttentionType::fp8_emulated;
    if (variant.fp8_weights && !world.fp8_dit)
        return Error{ErrorCode::wrong_use, "a walk with FP8 weights: they were not loaded"};
    auto cache = quant::KvCache::create(world.world.cache_shape(), policy, world.device.device, world.device.compute);
    if (!cache) return cache.error();
    return std::make_unique<Rollout>(variant.fp8_weights ? world.fp8_dit : world.dit, std::move(*cache),
                                     world.world.rollout_config(), keyed_noise(seed));
}

bool walk_by_model(const EvaluatedWorld& world, const GuidedWalk& walk, const at::Tensor& start, Rollout& rollout,
                   int latents, int per_call,
                   const std::function<void(int first_frame, const at::Tensor& frames)>& show,
                   const std::function<bool()>& made) {
    const auto stream = world.vae->open_stream();
    show(0, stream->decode(start.unsqueeze(0)));
    rollout.prefill(start.unsqueeze(0), walk.input(0));
    std::vector<at::Tensor> waiting;
    int first_waiting = 1;
    for (int k = 1; k <= latents; ++k) {
        waiting.push_back(rollout.generate(walk.input(k)));
        if (static_cast<int>(waiting.size()) == per_call || k == latents) {
            show(kFramesPerLatent * (first_waiting - 1) + 1, stream->decode(at::cat(waiting)));
            waiting.clear();
            first_waiting = k + 1;
        }
        if (!made()) return false;
    }
    return true;
}

} // namespace wander::evaluate
