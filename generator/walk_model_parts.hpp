#pragma once
// What every kind of model needs when it is made ready to walk. Room-internal; the thread that opens the model.

#include "generator/walk_model.hpp"

namespace wander {

// What a model's loop asks of CachePolicy where the options do not say; 0: CachePolicy's own.
struct CacheWishes {
    std::int64_t slice_bytes = 0;
    int read_latents = 0;
};
quant::CachePolicy cache_policy(const WalkOptions& options, const CacheWishes& wishes);
// model.network, device and sizes must be there. Fills layers, heads and tokens of the shape; describes the formats,
// window and capacity as well. devices: that share the heads; the cache is the first one's.
Result<std::unique_ptr<quant::KvCache>> make_cache(WalkModel& model, quant::CacheShape& shape,
                                                   const WalkOptions& options, const CacheWishes& wishes = {},
                                                   int devices = 1);
// model.noise, so that restart() can change the seed of what draws from the result.
NoiseSource make_noise(WalkModel& model, std::uint64_t seed);
// Cache, noise and loop of a causal model.
Result<void> make_causal_walk(WalkModel& model, quant::CacheShape shape, Rollout::Config config,
                              const WalkOptions& options);

// The embedded world of options.assets, or the world in the folder options.model.
Result<WalkModel> load_embedded(const WalkOptions& options, WalkModel model);
// A folder with a text-to-video model, converting it first where that is due.
Result<WalkModel> load_text_model(const WalkOptions& options, WalkModel model);
// A folder with HY-WorldPlay, likewise.
Result<WalkModel> load_worldplay_model(const WalkOptions& options, WalkModel model);

} // namespace wander
