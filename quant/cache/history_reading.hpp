#pragma once
// Whether a pass reads the history as the pass before it did, so that rows which were expanded for the one serve the
// other. Worker thread.

#include "quant/kv_cache.hpp"

#include <cstdint>

namespace wander::quant {

// Whether the same history stands in the same places and is turned alike, bit for bit, under both, in front of as many
// latents. Those latents' own places and cameras may differ.
bool reads_alike(const ReadView& a, const ReadView& b);

// Counts the changes of how history is read, and of what stands in front of it. What the pages themselves hold is
// counted by PageTable::changes().
class HistoryReading {
public:
    void begin_chunk(const ReadView& view);
    void note_change() { ++changes_; }
    std::uint64_t changes() const { return changes_; }

private:
    ReadView view_; // the newest that differed from its forerunner; copies, for the caller's tensors may be filled anew
    std::uint64_t changes_ = 0;
};

} // namespace wander::quant
