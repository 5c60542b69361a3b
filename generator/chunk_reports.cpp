#include "generator/chunk_reports.hpp"

#include <chrono>

namespace wander {

double steady_seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void ChunkReports::generated(ChunkTelemetry chunk, double sampled_at_seconds) {
    std::lock_guard lock(mutex_);
    const std::int64_t index = chunk.index;
    Parts& parts = open_[index];
    const double decode_ms = parts.chunk.ms.decode;
    parts.chunk = std::move(chunk);
    parts.chunk.ms.decode = decode_ms;
    parts.sampled_at_seconds = sampled_at_seconds;
    parts.generated = true;
    report_if_complete(index);
}

void ChunkReports::decoded(std::int64_t chunk, double decode_ms, double finished_at_seconds) {
    std::lock_guard lock(mutex_);
    Parts& parts = open_[chunk];
    parts.chunk.ms.decode = decode_ms;
    parts.finished_at_seconds = finished_at_seconds;
    parts.decoded = true;
    report_if_complete(chunk);
}

void ChunkReports::report_if_complete(std::int64_t index) {
    const auto found = open_.find(index);
    if (!found->second.generated || !found->second.decoded) return;
    Parts parts = std::move(found->second);
    open_.erase(found);
    StageMs& ms = parts.chunk.ms;
    ms.total = (parts.finished_at_seconds - parts.sampled_at_seconds) * 1000;
    // The first chunk has no predecessor: its own time is its period.
    ms.period =
        last_finished_at_seconds_ > 0 ? (parts.finished_at_seconds - last_finished_at_seconds_) * 1000 : ms.total;
    last_finished_at_seconds_ = parts.finished_at_seconds;
    if (report_) report_(parts.chunk);
}

} // namespace wander
