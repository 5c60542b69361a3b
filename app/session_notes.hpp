#pragma once
// Notes the window's newest walk for --session-out, chunk by chunk. Main thread.

#include "app/live_walk.hpp"
#include "app/session_file.hpp"
#include "generator/plain/result.hpp"

#include <filesystem>

namespace wander {

class SessionNotes {
public:
    // Chunk 0 begins a new session.
    void chunk(const LiveWalk::Snapshot& walk, const WalkOptions& options, const ChunkTelemetry& chunk);
    Result<void> write(const std::filesystem::path& file) const;

private:
    SessionFile session_;
    std::string format_;
    std::string text_;
    quant::CacheRules rules_;
};

} // namespace wander
