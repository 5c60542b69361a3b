#include "app/pacing_gate.hpp"

#include <algorithm>

namespace wander {

namespace {
// A slow chunk after a fast one must not show as a gap: the estimate rises at once and falls slowly.
constexpr double kFall = 0.1;
constexpr double kMargin = 1.15;
constexpr double kSlackSeconds = 0.03;
} // namespace

void PacingGate::frame_shown(std::int64_t frame_index) {
    // Frames of the walk before a restart may still come up; they say nothing about this one.
    if (frame_index < frames_promised_) frames_shown_ = std::max(frames_shown_, frame_index + 1);
}

void PacingGate::chunk_took(double seconds) {
    expected_seconds_ =
        seconds > expected_seconds_ ? seconds : expected_seconds_ + kFall * (seconds - expected_seconds_);
}

void PacingGate::reset() {
    frames_promised_ = 1;
    frames_shown_ = 0;
}

double PacingGate::playing_seconds() const {
    return static_cast<double>(std::max<std::int64_t>(0, frames_promised_ - frames_shown_)) / fps_;
}

double PacingGate::wait_seconds() const {
    if (expected_seconds_ < 0) return 0;
    return std::max(0.0, playing_seconds() - (expected_seconds_ * kMargin + kSlackSeconds));
}

} // namespace wander
