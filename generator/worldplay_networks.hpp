#pragma once
// What HY-WorldPlay's two models do differently on their way from a folder to a walk. Room-internal; the thread that
// opens the model.

#include "generator/model_loading.hpp"
#include "generator/models/worldplay_folder.hpp"
#include "generator/split/split_rollout.hpp"
#include "generator/worldplay_text.hpp"

#include <memory>
#include <vector>

namespace wander {

struct WorldPlayNetworks {
    std::shared_ptr<const WorldPlayNet> net;
    std::shared_ptr<WorldPlayText> text;
    std::vector<SplitRank> ranks{}; // of several GPUs, without their caches; empty: one device
};

// model.network, decoder and what else belongs to the networks of the chunk loop.
Result<WorldPlayNetworks> load_wan_5b_networks(WalkModel& model, const WorldPlayFolder& folder,
                                               const WalkOptions& options);
Result<WorldPlayNetworks> load_hunyuan_networks(WalkModel& model, const WorldPlayFolder& folder,
                                                const WalkOptions& options);
// Behind the loop: start pictures, the prompt and its encoders.
Result<void> load_wan_5b_encoders(WalkModel& model, const WorldPlayFolder& folder, const WalkOptions& options);
Result<void> load_hunyuan_encoders(WalkModel& model, const WorldPlayFolder& folder, const WalkOptions& options,
                                   WorldPlayText& text);

} // namespace wander
