#include "app/progress.hpp"

#include <chrono>
#include <cstdio>

#include <unistd.h>

#include <fmt/format.h>

namespace wander {

namespace {
constexpr double kTerminalSeconds = 0.1;
constexpr double kLogSeconds = 5;

double steady_seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
} // namespace

Progress::Progress(std::int64_t chunks)
    : chunks_(chunks),
      terminal_(::isatty(STDERR_FILENO) == 1),
      begun_seconds_(steady_seconds()),
      printed_seconds_(begun_seconds_) {}

void Progress::chunk(const ChunkTelemetry& telemetry) {
    frames_ += telemetry.frames;
    const double now = steady_seconds();
    const bool last = telemetry.index + 1 == chunks_;
    if (!last && now - printed_seconds_ < (terminal_ ? kTerminalSeconds : kLogSeconds)) return;
    printed_seconds_ = now;
    const double fps = static_cast<double>(frames_) / (now - begun_seconds_);
    const std::string line =
        fmt::format("chunk {} of {}  {:.1f} fps  {:.0f} ms a chunk  cache {:.1f} MB {} ({:.1f}x)", telemetry.index + 1,
                    chunks_, fps, telemetry.ms.period, static_cast<double>(telemetry.cache_bytes) / 1e6,
                    telemetry.format, telemetry.ledger.ratio());
    std::fprintf(stderr, terminal_ ? "\r%s\x1b[K" : "%s\n", line.c_str());
    std::fflush(stderr);
    line_open_ = terminal_;
}

void Progress::say(const std::string& line) {
    end();
    std::fprintf(stderr, "wander: %s\n", line.c_str());
}

void Progress::end() {
    if (line_open_) std::fputc('\n', stderr);
    line_open_ = false;
}

LoadingLine::LoadingLine() : terminal_(::isatty(STDERR_FILENO) == 1), printed_seconds_(steady_seconds()) {}

void LoadingLine::show(const LoadProgress& progress) {
    const double now = steady_seconds();
    if (now - printed_seconds_ < (terminal_ ? kTerminalSeconds : kLogSeconds)) return;
    printed_seconds_ = now;
    std::fprintf(stderr, terminal_ ? "\r%s\x1b[K" : "%s\n", progress_text(progress).c_str());
    std::fflush(stderr);
    line_open_ = terminal_;
}

void LoadingLine::end() {
    if (line_open_) std::fputc('\n', stderr);
    line_open_ = false;
}

} // namespace wander
