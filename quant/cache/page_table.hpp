#pragma once
// Which page group holds which latents, and which of them a chunk may see.
//
// Latents are counted absolutely. The first `sink_latents` of a walk share one group that never leaves; after it every
// `page_latents` latents share one, wherever chunks begin and end. Groups are ordered oldest first; a group's address
// is stable while it lives. Worker thread only.

#include "quant/format.hpp"
#include "quant/kv_cache.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace wander::quant {

struct Page {
    at::Tensor bytes; // uint8, one allocation; undefined until written
    PageBytes parts;  // how the format divides it
    const PageFormat* format = nullptr;
    std::shared_ptr<const Codebook> codebook; // that it was packed with, of formats with a session codebook
    at::Tensor
        noise; // float32 [heads, head_dim / kNoiseChannels] on the cache's device, see LogitBias; undefined: none
};

struct PageGroup {
    std::int64_t first_latent = 0;
    int capacity = 0; // latents
    int held = 0;     // latents committed
    bool sink = false;
    bool settled = false; // was packed in its turn (or kept, in an uncompressed cache): the converter's from now on
    bool lossy_history = false;
    std::uint32_t kept = 0xffffffffU; // latents that a pruning format keeps whole, see EncodeOptions
    std::vector<Page> keys;           // one a layer
    std::vector<Page> values;

    std::int64_t end_latent() const { return first_latent + capacity; }
    bool full() const { return held == capacity; }
};

// A visible run of latents inside one group.
struct HistorySegment {
    const PageGroup* group = nullptr;
    int page_latent = 0; // first visible latent, counted from the page's first
    int latents = 0;
    int history_index = 0; // of that latent among all visible ones
};

class PageTable {
public:
    explicit PageTable(const CacheShape& shape) : shape_(shape) {}

    void clear();
    void begin_walk(std::int64_t first_latent); // only without history
    void skip_to(std::int64_t first_latent);
    std::int64_t next_latent() const { return next_; }
    bool has_history() const;
    // Grows whenever anything that a chunk could read as history changes: latents come or go, or a page's rows.
    std::uint64_t changes() const { return changes_; }
    void note_change() { ++changes_; } // of a page's rows

    std::vector<std::int64_t> visible(std::int64_t first_latent) const;
    std::vector<HistorySegment> segments(std::int64_t first_latent) const;
    // Of these latents alone, ascending; throws std::invalid_argument where one is not held.
    std::vector<HistorySegment> segments_of(const std::vector<std::int64_t>& latents) const;
    bool is_visible(std::int64_t latent, std::int64_t first_latent) const;

    // Takes out the groups that a chunk beginning at `first_latent`, and so every later one, cannot see.
    std::vector<std::unique_ptr<PageGroup>> evict(std::int64_t first_latent);

    PageGroup& group_for(std::int64_t latent); // creates it, without pages, when the latent opens a new one
    const PageGroup* find(std::int64_t latent) const;
    void commit(std::int64_t first_latent, int latents);

    std::vector<std::unique_ptr<PageGroup>>& groups() { return groups_; }
    const std::vector<std::unique_ptr<PageGroup>>& groups() const { return groups_; }

private:
    CacheShape shape_;
    std::int64_t base_ = 0; // first latent of the walk
    std::int64_t next_ = 0; // first latent that is not committed
    std::uint64_t changes_ = 0;
    std::vector<std::unique_ptr<PageGroup>> groups_;
};

} // namespace wander::quant
