#pragma once
// What the KV cache holds, in bytes of real allocations. Filled by quant::KvCache, drawn by panels.
//
// Every byte is the size of an allocation, headers and padding included; nothing is computed from a formula.

#include <cstdint>
#include <string>
#include <vector>

namespace wander {

struct KindBytes {              // one of K or V
    std::int64_t codes = 0;     // packed residual codes
    std::int64_t scales = 0;    // e4m3 block scales
    std::int64_t codebooks = 0; // centroids and the ids that point at them
    std::int64_t headers = 0;   // page headers and padding of packed pages
    std::int64_t open = 0;      // uncompressed pages: open, sink, recent, or all of them in an uncompressed cache
    std::int64_t total() const { return codes + scales + codebooks + headers + open; }
};

struct MemoryLedger {
    KindBytes keys;
    KindBytes values;
    std::int64_t text_bytes = 0;            // keys and values of a text in front of the history; not part of bytes()
    std::int64_t scratch_bytes = 0;         // slice scratch shared by all layers; not part of bytes()
    std::int64_t kept_row_bytes = 0;        // expanded rows that stay from pass to pass; in neither of these
    std::int64_t bf16_equivalent_bytes = 0; // what the same latents would need as BF16
    std::int64_t packed_bytes = 0;          // packed pages only: codes + scales + codebooks + headers
    std::int64_t packed_bf16_bytes = 0;     // what the packed pages would need as BF16
    std::int64_t peak_bytes = 0;            // highest bytes() + scratch_bytes + kept_row_bytes + free slots of slabs
    std::int64_t pages_waiting = 0;         // page groups the converter has still to visit

    std::int64_t bytes() const { return keys.total() + values.total(); }
    double ratio() const {
        return bytes() > 0 ? static_cast<double>(bf16_equivalent_bytes) / static_cast<double>(bytes()) : 1.0;
    }
    double packed_ratio() const {
        return packed_bytes > 0 ? static_cast<double>(packed_bf16_bytes) / static_cast<double>(packed_bytes) : 0.0;
    }
};

// One block of latents in the cache (all layers, K and V), for the timeline bar.
struct PageCell {
    std::int64_t first_latent = 0;
    int latents = 0;         // held
    int visible_latents = 0; // inside the window
    std::string format;      // registry name; "open" for the page being filled
    bool sink = false;
    bool lossy_history = false; // converted from a lossy format, so nearer to nothing than its format says
    std::int64_t bytes = 0;     // allocations of this block, all layers, K and V
};

} // namespace wander
