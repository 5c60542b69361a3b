#pragma once
// Puts together what the worker and the decode thread measured of a chunk, and reports it when both are done.
//
// Reports come in order, one at a time, from the thread that finished second. Thread safe.

#include "generator/walk.hpp"

#include <cstdint>
#include <map>
#include <mutex>

namespace wander {

double steady_seconds();

class ChunkReports {
public:
    explicit ChunkReports(Walk::Report report) : report_(std::move(report)) {}

    // Everything but ms.decode, ms.total and ms.period.
    void generated(ChunkTelemetry chunk, double sampled_at_seconds);
    // The chunk's last frame went out.
    void decoded(std::int64_t chunk, double decode_ms, double finished_at_seconds);

private:
    struct Parts {
        ChunkTelemetry chunk;
        double sampled_at_seconds = 0;
        double finished_at_seconds = 0;
        bool generated = false;
        bool decoded = false;
    };
    void report_if_complete(std::int64_t index);

    std::mutex mutex_;
    Walk::Report report_;
    std::map<std::int64_t, Parts> open_;
    double last_finished_at_seconds_ = 0; // 0: the next chunk is the first
};

} // namespace wander
