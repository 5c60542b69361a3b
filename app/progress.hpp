#pragma once
// How far a headless run is, on stderr: one line that is rewritten on a terminal, else a line every few seconds.

#include "generator/plain/load_progress.hpp"
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

// How far opening a model is, likewise; nothing is printed for what takes less than a second or so.
class LoadingLine {
public:
    LoadingLine();
    void show(const LoadProgress& progress);
    void end();

private:
    const bool terminal_;
    bool line_open_ = false;
    double printed_seconds_;
};

} // namespace wander
