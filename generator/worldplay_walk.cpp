#include "generator/worldplay_walk.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace wander {

WorldPlayWalk::WorldPlayWalk(std::shared_ptr<WorldPlayText> text, std::unique_ptr<WorldPlayRollout> rollout,
                             const SteeringRules& rules, std::vector<LatentCamera> path)
    : text_(std::move(text)), rollout_(std::move(rollout)), rules_(rules), path_(std::move(path)) {}

std::vector<LatentCamera> WorldPlayWalk::cameras(SteeredCamera& steering, const ControlState& state) const {
    const int count = rollout_->steered_latents();
    const std::int64_t first = rollout_->next_latent() + kLatentsPerChunk - count;
    ControlState share = state;
    share.mouse_yaw_rad /= static_cast<float>(count);
    share.mouse_pitch_rad /= static_cast<float>(count);
    std::vector<LatentCamera> cameras;
    for (std::int64_t latent = first; latent < first + count; ++latent) {
        if (latent < std::ssize(path_)) {
            steering = SteeredCamera(path_[static_cast<std::size_t>(latent)], rules_);
            cameras.push_back(steering.camera());
        } else {
            cameras.push_back(steering.step(share));
        }
    }
    return cameras;
}

void WorldPlayWalk::begin(const WalkStart& start, const Show& show) {
    start_ = start;
    if (start.memory) return resume(*start.memory, show);
    const LatentCamera origin = path_.empty() ? cameras_from_moves({}).front() : path_.front();
    look_at(start.view);
    rollout_->start(origin, start.latent);
    steering_.emplace(origin, rules_);
    states_ = {steering_->state()};
    // Where the picture is latent 0 itself, it can be seen before the chunk that it belongs to.
    start_shown_ = start.latent.defined() && rollout_->start_latent_is_fixed();
    if (start_shown_) show(start.latent.unsqueeze(0).to(rollout_->device()), {pose_of(origin)});
}

void WorldPlayWalk::resume(const WalkMemory& memory, const Show& show) {
    look_at(memory.view);
    rollout_->restore(memory.history);
    steering_.emplace(memory.history.cameras.back(), rules_);
    steering_->set_state(memory.steering.back());
    states_ = memory.steering;
    start_shown_ = true;
    const std::int64_t count = memory.history.latents.size(0);
    const std::int64_t lead = std::min(count, kDecoderLead);
    std::vector<Pose> poses;
    for (std::int64_t latent = count - lead; latent < count; ++latent)
        poses.push_back(pose_of(memory.history.cameras[static_cast<std::size_t>(latent)]));
    show(memory.history.latents.narrow(0, count - lead, lead).to(rollout_->device()), poses);
}

std::optional<WalkMemory> WorldPlayWalk::memory() const {
    if (rollout_->next_latent() == 0) return std::nullopt;
    return WalkMemory{rollout_->history(), states_, view_, {}, {}};
}

bool WorldPlayWalk::rewind(int chunks, const Show& show) {
    const std::int64_t left = std::max<std::int64_t>(0, rollout_->next_latent() / kLatentsPerChunk - chunks);
    if (left == 0) {
        if (start_.memory) { // of a resumed walk, too, only the beginning is left
            start_.latent = start_.memory->history.picture;
            start_.view = start_.memory->view;
            start_.memory.reset();
        }
        begin(start_, show);
        return true;
    }
    WalkMemory memory{rollout_->history(), states_, view_, {}, {}};
    memory.history.latents = memory.history.latents.narrow(0, 0, left * kLatentsPerChunk);
    memory.history.cameras.resize(static_cast<std::size_t>(left * kLatentsPerChunk));
    memory.steering.resize(static_cast<std::size_t>(left) + 1);
    resume(memory, show);
    return true;
}

void WorldPlayWalk::generate(const ControlState& state, const Show& show) {
    tell();
    const bool first = rollout_->next_latent() == 0;
    const LatentCamera before = steering_->camera();
    const std::vector<LatentCamera> steered = cameras(*steering_, state);
    const std::int64_t made_again = rollout_->contexts_made_again();
    const at::Tensor latents = rollout_->generate(steered);
    made_again_ = static_cast<int>(rollout_->contexts_made_again() - made_again);
    states_.push_back(steering_->state());
    std::vector<Pose> poses;
    if (first && !start_shown_) poses.push_back(pose_of(before));
    for (const LatentCamera& camera : steered) poses.push_back(pose_of(camera));
    const auto shown = static_cast<std::int64_t>(poses.size());
    show(latents.narrow(0, latents.size(0) - shown, shown), poses);

    ControlState held = state;
    held.mouse_yaw_rad = 0;
    held.mouse_pitch_rad = 0;
    SteeredCamera expected = *steering_;
    rollout_->prepare(cameras(expected, held));
}

void WorldPlayWalk::set_text(const PromptStates& prompt) {
    prompt_ = prompt;
    untold_ = true;
}

void WorldPlayWalk::look_at(const at::Tensor& view) {
    const bool same = view.defined() ? view_.defined() && at::equal(view, view_) : !view_.defined();
    view_ = view;
    if (!same) untold_ = true;
}

void WorldPlayWalk::tell() {
    if (!untold_ || !prompt_.text.defined()) return;
    text_->set(prompt_, view_, *rollout_);
    rollout_->forget_prepared(); // the context reads the text too
    untold_ = false;
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
