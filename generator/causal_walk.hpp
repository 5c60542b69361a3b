#pragma once
// A walk by a causal model whose cache runs on from chunk to chunk: the embedded world and Self-Forcing.

#include "generator/camera/walker.hpp"
#include "generator/walk_loop.hpp"
#include "generator/world/embedded_world.hpp"

#include <memory>
#include <optional>

namespace wander {

class CausalWalk : public WalkLoop {
public:
    struct Settings {
        int chunk_latents = 1;
        int token_rows = 0;
        int token_cols = 0;
        bool rebuild_on_text = false; // history is made again under a new text
    };
    // world: places and cameras; none for a text model, which nothing steers here.
    CausalWalk(std::shared_ptr<WanDit> dit, std::unique_ptr<Rollout> rollout,
               std::shared_ptr<const EmbeddedWorld> world, const Settings& settings);

    void begin(const WalkStart& start, const Show& show) override;
    void generate(const ControlState& state, const Show& show) override;
    void set_text(const PromptStates& prompt) override;
    std::optional<WalkMemory> memory() const override;
    bool rewind(int chunks, const Show& show) override;
    std::int64_t next_latent() const override { return rollout_->next_latent(); }
    quant::KvCache& cache() override { return rollout_->cache(); }
    RolloutTimes last_times() const override { return rollout_->last_times(); }
    void set_between_blocks(std::function<void()> between_blocks) override {
        rollout_->set_between_blocks(std::move(between_blocks));
    }

private:
    ChunkInput steer(const ControlState& state);
    at::Tensor pose_tokens(const std::vector<Pose>& poses) const;
    void stand_behind(std::vector<CleanChunk> chunks, const Show& show);
    void rebuild();
    // Latents that are there before the first chunk: the start picture's.
    std::int64_t start_latents() const { return world_ ? 1 : 0; }

    std::shared_ptr<WanDit> dit_;
    std::unique_ptr<Rollout> rollout_;
    std::shared_ptr<const EmbeddedWorld> world_;
    Settings settings_;
    int place_ = 0; // number of the embedded world's place
    std::optional<Walker> walker_;
    WalkStart start_;
    bool stale_ = false; // the cache lacks the history: the next chunk makes it first, under the text of then
};

} // namespace wander
