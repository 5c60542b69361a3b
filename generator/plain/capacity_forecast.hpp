#pragma once
// How much memory the walk will need when its window is full, and how long a window the machine could hold. Plain
// arithmetic over what was measured; any thread.

#include "quant/plain/cache_rules.hpp"

#include <cstdint>

namespace wander {

// Of the open model.
struct CapacityFacts {
    int view_latents = 0; // sink, window and chunk; 0: everything stays, so it grows without end
    int sink_latents = 0;
    int chunk_latents = 1;
    std::int64_t raw_latent_bytes = 0; // keys and values of all layers
};

struct CapacityForecast {
    std::int64_t cache_bytes = 0;  // when the window is full, in the format for new pages
    std::int64_t device_bytes = 0; // of the whole device then, kept rows left out, which give way; 0: no GPU
    std::int64_t device_total = 0;
    int most_latents = 0; // view that would fit into 95 % of the device; 0: unknown
    bool fits = true;
    bool full = false; // the window is full now
};

// What was measured after a chunk.
struct CapacityNow {
    std::int64_t latents = 0;     // made so far
    std::int64_t cache_bytes = 0; // of the cache
    std::int64_t device_used_bytes = 0;
    std::int64_t device_total_bytes = 0; // 0: no GPU
    double ratio = 1;                    // of the format for new pages, as FormatInfo::ratio; 1: uncompressed
    std::int64_t kept_row_bytes = 0;     // MemoryLedger's, part of what the device uses
};

// An endless view is forecast for what is held now.
CapacityForecast forecast_capacity(const CapacityFacts& facts, const quant::CacheRules& rules, const CapacityNow& now);

} // namespace wander
