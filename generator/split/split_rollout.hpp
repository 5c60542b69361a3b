#pragma once
// HY-WorldPlay's chunk loop with the network's heads split over several devices (head_split.hpp). To whoever walks it
// is a WorldPlayRollout.
//
// Every rank runs the whole loop: noise, cameras, text and the choice of the context are the same everywhere, and each
// pass gives all ranks the same flow, so all of them hold the same latents. Rank 0 is this object, in the caller's
// thread and device; its latents, times and cache are what is shown. The others have threads of their own and follow:
// each call here is theirs too, and before it their caches take over the format and the rules of this one's. So a
// cache's ledger is of one device, and of its share of the heads.
//
// A call that fails on one device fails here, and the walk is over: every later call throws.

#include "generator/rollout/worldplay_rollout.hpp"
#include "generator/split/head_split.hpp"
#include "generator/split/rank_thread.hpp"

#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace wander {

// A rank's own. cache() is called in the rank's thread, with its device current; it may throw.
struct SplitRank {
    std::shared_ptr<HeadSplit> split;
    std::shared_ptr<const WorldPlayNet> net; // as this rank
    std::function<std::unique_ptr<quant::KvCache>()> cache;
};

class SplitRollout final : public WorldPlayRollout {
public:
    // ranks: in their order. Config::on_step and between_blocks are rank 0's alone; no published store.
    SplitRollout(const std::vector<SplitRank>& ranks, const Config& config, const NoiseSource& noise,
                 const ViewOverlap& overlap);
    ~SplitRollout() override;

    void set_text(std::vector<quant::TextRows> layers) override;
    void start(const LatentCamera& camera, const at::Tensor& picture) override;
    void prepare(std::span<const LatentCamera> expected) override;
    void forget_prepared() override;
    at::Tensor generate(std::span<const LatentCamera> cameras) override;
    void restore(const WorldPlayHistory& history) override;

    int devices() const { return 1 + static_cast<int>(followers_.size()); }
    // Waits for the rank's thread; rank 0 is this object.
    void with_rank(int rank, const std::function<void(WorldPlayRollout&, HeadSplit&)>& look);

private:
    struct Follower {
        std::shared_ptr<HeadSplit> split;
        std::unique_ptr<RankThread> thread;
        std::unique_ptr<WorldPlayRollout> rollout; // lives and dies in the thread
    };
    // `theirs` in the followers' threads, each for its own roll-out, beside `own` in this one.
    void together(const std::function<void(WorldPlayRollout&, HeadSplit&)>& theirs, const std::function<void()>& own);

    std::shared_ptr<HeadSplit> split_;
    std::vector<Follower> followers_;
};

} // namespace wander
