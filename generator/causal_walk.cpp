#include "generator/causal_walk.hpp"

#include <ATen/ATen.h>

#include <utility>

namespace wander {

CausalWalk::CausalWalk(std::shared_ptr<WanDit> dit, std::unique_ptr<Rollout> rollout,
                       std::shared_ptr<const EmbeddedWorld> world, const Settings& settings)
    : dit_(std::move(dit)), rollout_(std::move(rollout)), world_(std::move(world)), settings_(settings) {}

void CausalWalk::begin(const WalkStart& start, const Show& show) {
    rollout_->reset();
    walker_.reset();
    place_ = start.world;
    if (world_) walker_.emplace(&world_->maps[static_cast<std::size_t>(place_)], world_->limits, start.pose);
    if (!start.latent.defined()) return;
    const at::Tensor latent = start.latent.unsqueeze(0).to(dit_->device());
    show(latent, {start.pose});
    rollout_->prefill(latent,
                      {.latents = 1, .labels = {0}, .poses = {start.pose}, .token_bias = pose_tokens({start.pose})});
}

void CausalWalk::generate(const ControlState& state, const Show& show) {
    const ChunkInput input = steer(state);
    rollout_->generate(input, [&](const at::Tensor& latents) { show(latents, input.poses); });
}

void CausalWalk::set_text(const PromptStates& prompt) {
    dit_->set_text(prompt.text);
    if (settings_.rebuild_on_text && rollout_->next_latent() > 0) rollout_->rebuild_history();
}

ChunkInput CausalWalk::steer(const ControlState& state) {
    ChunkInput input;
    input.latents = settings_.chunk_latents;
    if (!walker_) return input;
    ControlState share = state;
    share.mouse_yaw_rad /= static_cast<float>(input.latents);
    share.mouse_pitch_rad /= static_cast<float>(input.latents);
    for (int i = 0; i < input.latents; ++i) {
        const Walker::Step step = walker_->step(share);
        input.poses.push_back(step.pose);
        input.labels.push_back(step.label);
    }
    input.token_bias = pose_tokens(input.poses);
    return input;
}

at::Tensor CausalWalk::pose_tokens(const std::vector<Pose>& poses) const {
    std::vector<at::Tensor> tokens;
    tokens.reserve(poses.size());
    for (const Pose& p : poses) {
        tokens.push_back(
            dit_->pose_tokens(p.x, p.z, p.yaw, p.pitch, place_, settings_.token_rows, settings_.token_cols));
    }
    return at::cat(tokens);
}

} // namespace wander
