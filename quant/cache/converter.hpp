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
    Converter(PageTable& table, PageArena& arena, const PageCodec& codec, const PageFormat* format)
        : table_(table), arena_(arena), codec_(codec), format_(format) {}

    void select(const PageFormat* format) { format_ = format; }
    const PageFormat* selected() const { return format_; }

    // Packs the groups that are full and do not hold the chunk beginning at `newest_first_latent`, for the first time.
    void settle(std::int64_t newest_first_latent);
    // Brings up to `groups` settled groups to the selected format, oldest first.
    void convert_old(int groups);
    std::int64_t waiting() const; // settled groups in another format than the selected one

private:
    void change(PageGroup& group);

    PageTable& table_;
    PageArena& arena_;
    const PageCodec& codec_;
    const PageFormat* format_;
};

} // namespace wander::quant
