#pragma once
// When pages change their format: once when their group is full, later only when the selected format changed.
//
// Runs at chunk borders. What it does is a function of the commits so far, never of time. Worker thread only.

#include "quant/cache/page_arena.hpp"
#include "quant/cache/page_codec.hpp"
#include "quant/cache/page_table.hpp"

#include <cstdint>

namespace wander::quant {

class Converter {
public:
    Converter(PageTable& table, PageArena& arena, CodebookStore& codebooks, const PageCodec& codec,
              const CachePolicy& policy, const PageFormat* format)
        : table_(table), arena_(arena), codebooks_(codebooks), codec_(codec), policy_(policy), format_(format) {}

    void select(const PageFormat* format) { format_ = format; }
    const PageFormat* selected() const { return format_; }

    // Packs the groups that are full and older than the newest `keep_recent` chunks, for the first time. The newest
    // chunk begins at `newest_first_latent` and holds `chunk_latents`.
    void settle(std::int64_t newest_first_latent, int chunk_latents);
    // Brings up to `groups` settled groups to the selected formats, oldest first.
    void convert_old(int groups);
    std::int64_t waiting() const; // settled groups that are not in the selected formats

private:
    bool wants_codebooks() const;
    const PageFormat* target(const PageGroup& group, int layer) const;
    bool is_done(const PageGroup& group) const;
    void change(PageGroup& group);

    PageTable& table_;
    PageArena& arena_;
    CodebookStore& codebooks_;
    const PageCodec& codec_;
    const CachePolicy& policy_;
    const PageFormat* format_;
};

} // namespace wander::quant
