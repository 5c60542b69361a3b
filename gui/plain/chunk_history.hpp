#pragma once
// The newest chunks' telemetry, for plots and percentiles. One thread.

#include "generator/plain/telemetry.hpp"

#include <cstddef>
#include <deque>

namespace wander::gui {

inline constexpr std::size_t kHistoryChunks = 240;

class ChunkHistory {
public:
    void add(ChunkTelemetry chunk) {
        // Only the newest chunk's pages are drawn; the strings of the others would be most of the memory.
        if (!chunks_.empty()) {
            chunks_.back().pages.clear();
        }
        chunks_.push_back(std::move(chunk));
        if (chunks_.size() > kHistoryChunks) {
            chunks_.pop_front();
        }
    }
    void clear() { chunks_.clear(); }

    bool empty() const { return chunks_.empty(); }
    std::size_t size() const { return chunks_.size(); }
    const ChunkTelemetry& newest() const { return chunks_.back(); }      // not when empty
    const std::deque<ChunkTelemetry>& chunks() const { return chunks_; } // oldest first

private:
    std::deque<ChunkTelemetry> chunks_;
};

} // namespace wander::gui
