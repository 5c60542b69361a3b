#pragma once
// How far a headless run is, on stderr: one line that is rewritten on a terminal, else a line every few seconds.

#include "generator/plain/telemetry.hpp"

#include <cstdint>
#include <string>

namespace wander {

class Progress {
public:
    explicit Progress(std::int64_t chunks);

    void chunk(const ChunkTelemetry& telemetry);
    // A line of its own between the progress lines.
    void say(const std::string& line);
    void end();

private:
    const std::int64_t chunks_;
    const bool terminal_;
    bool line_open_ = false;
    double begun_seconds_;
    double printed_seconds_;
    std::int64_t frames_ = 0;
};

} // namespace wander
