#pragma once
// What every kind of model needs when it is made ready to walk. Room-internal; the thread that opens the model.

#include "generator/walk_model.hpp"

namespace wander {

// model.dit, device and sizes must be there. Makes cache, noise and roll-out, and describes the formats.
Result<void> make_rollout(WalkModel& model, quant::CacheShape shape, Rollout::Config config,
                          const WalkOptions& options);

// The embedded world of options.assets.
Result<WalkModel> load_embedded(const WalkOptions& options, WalkModel model);
// A folder with a text-to-video model, converting it first where that is due.
Result<WalkModel> load_text_model(const WalkOptions& options, WalkModel model);

} // namespace wander
