#include "generator/causal_walk.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

namespace wander {

CausalWalk::CausalWalk(std::shared_ptr<WanDit> dit, std::unique_ptr<Rollout> rollout,
                       std::shared_ptr<const EmbeddedWorld> world, const Settings& settings)
    : dit_(std::move(dit)), rollout_(std::move(rollout)), world_(std::move(world)), settings_(settings) {}

void CausalWalk::begin(const WalkStart& start, const Show& show) {
    start_ = start;
    rollout_->reset();
    stale_ = false;
    walker_.reset();
    if (start.memory) {
        place_ = start.memory->causal->place;
        return stand_behind(start.memory->causal->chunks, show);
    }
    place_ = start.world;
    if (world_) walker_.emplace(&world_->maps[static_cast<std::size_t>(place_)], world_->limits, start.pose);
    if (!start.latent.defined()) return;
    const at::Tensor latent = start.latent.unsqueeze(0).to(dit_->device());
    show(latent, {start.pose});
    const Walker::State state = walker_->state();
    rollout_->prefill(latent, {.latents = 1,
                               .labels = {0},
                               .poses = {start.pose},
                               .token_bias = pose_tokens({start.pose}),
                               .steering = {state.begin(), state.end()}});
}

void CausalWalk::stand_behind(std::vector<CleanChunk> chunks, const Show& show) {
    const CleanChunk& last = chunks.back();
    if (world_) {
        walker_.emplace(&world_->maps[static_cast<std::size_t>(place_)], world_->limits, last.poses.back());
        Walker::State state{};
        std::ranges::copy(last.steering, state.begin());
        walker_->set_state(state);
    }
    // As many as lead the decoder here, without a gap.
    std::size_t first = chunks.size() - 1;
    std::int64_t lead = last.latents.size(0);
    while (first > 0 && lead < kDecoderLead && chunks[first - 1].end_latent() == chunks[first].first_latent)
        lead += chunks[--first].latents.size(0);
    std::vector<at::Tensor> latents;
    std::vector<Pose> poses;
    for (std::size_t i = first; i < chunks.size(); ++i) {
        latents.push_back(chunks[i].latents);
        poses.insert(poses.end(), chunks[i].poses.begin(), chunks[i].poses.end());
    }
    const at::Tensor leading = at::cat(latents).to(dit_->device());
    rollout_->restore(std::move(chunks));
    stale_ = true;
    show(leading, poses);
}

std::optional<WalkMemory> CausalWalk::memory() const {
    if (rollout_->next_latent() <= start_latents()) return std::nullopt;
    WalkMemory memory;
    memory.causal = CausalMemory{rollout_->clean_chunks(), place_};
    return memory;
}

// Further back than enough is kept for, it stands at the oldest chunk that can be gone on from.
bool CausalWalk::rewind(int chunks, const Show& show) {
    const std::int64_t left = rollout_->next_latent() - std::int64_t{settings_.chunk_latents} * chunks;
    if (left <= start_latents()) {
        if (start_.memory) { // of a resumed walk, too, only the beginning is left
            const CleanChunk& picture = start_.memory->causal->chunks.front();
            WalkStart beginning;
            if (world_) beginning = {picture.latents[0], {}, picture.poses.front(), place_, {}};
            start_ = std::move(beginning);
        }
        begin(start_, show);
        return true;
    }
    std::vector<CleanChunk> kept = rollout_->clean_chunks();
    while (kept.back().end_latent() > left) {
        CleanChunk newest = std::move(kept.back());
        kept.pop_back();
        if (first_rebuilt(kept, cache().shape())) continue;
        kept.push_back(std::move(newest));
        break;
    }
    stand_behind(std::move(kept), show);
    return true;
}

void CausalWalk::rebuild() {
    stale_ = false;
    if (world_) return rollout_->rebuild_history([this](const std::vector<Pose>& poses) { return pose_tokens(poses); });
    rollout_->rebuild_history();
}

void CausalWalk::generate(const ControlState& state, const Show& show) {
    if (stale_) rebuild();
    const ChunkInput input = steer(state);
    rollout_->generate(input, [&](const at::Tensor& latents) { show(latents, input.poses); });
}

void CausalWalk::set_text(const PromptStates& prompt) {
    dit_->set_text(prompt.text);
    if (settings_.rebuild_on_text && rollout_->next_latent() > 0) rebuild();
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
    const Walker::State stands = walker_->state();
    input.steering.assign(stands.begin(), stands.end());
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
