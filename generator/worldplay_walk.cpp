#include "generator/worldplay_walk.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace wander {

WorldPlayWalk::WorldPlayWalk(std::shared_ptr<WanDit> dit, std::unique_ptr<WorldPlayRollout> rollout,
                             const SteeringRules& rules)
    : dit_(std::move(dit)), rollout_(std::move(rollout)), rules_(rules) {}

void WorldPlayWalk::begin(const WalkStart& start, const Show& show) {
    const LatentCamera origin = cameras_from_moves({}).front();
    rollout_->start(origin, start.latent);
    steering_.emplace(origin, rules_);
    // The picture is latent 0 itself, so it can be seen before the chunk that it belongs to.
    start_shown_ = start.latent.defined();
    if (start_shown_) show(start.latent.unsqueeze(0).to(dit_->device()), {pose_of(origin)});
}

void WorldPlayWalk::generate(const ControlState& state, const Show& show) {
    const bool first = rollout_->next_latent() == 0;
    const LatentCamera before = steering_->camera();
    const auto cameras = steering_->chunk(state, rollout_->steered_latents());
    const at::Tensor latents = rollout_->generate(cameras);
    std::vector<Pose> poses;
    if (first && !start_shown_) poses.push_back(pose_of(before));
    for (const LatentCamera& camera : cameras) poses.push_back(pose_of(camera));
    const auto shown = static_cast<std::int64_t>(poses.size());
    show(latents.narrow(0, latents.size(0) - shown, shown), poses);

    ControlState held = state;
    held.mouse_yaw_rad = 0;
    held.mouse_pitch_rad = 0;
    SteeredCamera expected = *steering_;
    rollout_->prepare(expected.chunk(held, rollout_->steered_latents()));
}

void WorldPlayWalk::set_text(const at::Tensor& embedding) {
    dit_->set_text(embedding);
    rollout_->forget_prepared(); // the context reads the text too
}

// y points down, z ahead: the view's direction is the third column.
Pose pose_of(const LatentCamera& camera) {
    const Matrix4& m = camera.camera_to_world;
    const double ahead_x = m[2];
    const double ahead_y = m[6];
    const double ahead_z = m[10];
    Pose pose;
    pose.x = static_cast<float>(m[3]);
    pose.z = static_cast<float>(m[11]);
    pose.yaw = static_cast<float>(std::atan2(ahead_x, ahead_z));
    pose.pitch = static_cast<float>(std::asin(std::clamp(-ahead_y, -1.0, 1.0)));
    return pose;
}

} // namespace wander
