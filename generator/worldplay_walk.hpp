#pragma once
// A walk by HY-WorldPlay: keys become cameras, and every chunk reads a context that is chosen by what they see.
//
// The context of the next chunk is made right behind a chunk, with the cameras that follow if the keys stay as they
// are; it is made again where the keys that come choose another one (hy-worldplay.md 5).

#include "generator/camera/steered_camera.hpp"
#include "generator/rollout/worldplay_rollout.hpp"
#include "generator/walk_loop.hpp"
#include "generator/worldplay_text.hpp"

#include <memory>
#include <optional>

namespace wander {

class WorldPlayWalk : public WalkLoop {
public:
    // path: cameras of the first latents, from latent 0 on; the controls count behind its end. Empty: from latent 1 on.
    WorldPlayWalk(std::shared_ptr<WorldPlayText> text, std::unique_ptr<WorldPlayRollout> rollout,
                  const SteeringRules& rules, std::vector<LatentCamera> path);

    void begin(const WalkStart& start, const Show& show) override;
    void generate(const ControlState& state, const Show& show) override;
    void set_text(const PromptStates& prompt) override;
    std::int64_t next_latent() const override { return rollout_->next_latent(); }
    quant::KvCache& cache() override { return rollout_->cache(); }
    int contexts_made_again() const override { return made_again_; }
    std::optional<WalkMemory> memory() const override;
    bool rewind(int chunks, const Show& show) override;
    RolloutTimes last_times() const override { return rollout_->last_times(); }
    void set_between_blocks(std::function<void()> between_blocks) override {
        rollout_->set_between_blocks(std::move(between_blocks));
    }

private:
    void resume(const WalkMemory& memory, const Show& show);
    // The next chunk's cameras; moves `steering` along.
    std::vector<LatentCamera> cameras(SteeredCamera& steering, const ControlState& state) const;

    void look_at(const at::Tensor& view);
    void tell(); // the network what it does not know yet

    std::shared_ptr<WorldPlayText> text_;
    std::unique_ptr<WorldPlayRollout> rollout_;
    SteeringRules rules_;
    std::vector<LatentCamera> path_;
    std::optional<SteeredCamera> steering_;
    std::vector<SteeredCamera::State> states_; // at the beginning of every chunk made, and of the next one
    WalkStart start_;
    PromptStates prompt_;
    at::Tensor view_;     // of the walk's start picture
    bool untold_ = false; // prompt or view changed since the network was told
    bool start_shown_ = false;
    int made_again_ = 0; // contexts of the last chunk
};

// What panels and recordings show of a camera: place on the ground, yaw and pitch. Its height and roll are left out.
Pose pose_of(const LatentCamera& camera);

} // namespace wander
