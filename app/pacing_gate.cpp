#include "app/pacing_gate.hpp"

#include <algorithm>

namespace wander {

namespace {
// A slow chunk after a fast one must not show as a gap, so the slowest of the last four seconds counts. A maximum
// stands still most of the time; an average that follows every chunk would make every period uneven.
constexpr std::size_t kRemembered = 16;
constexpr double kMargin = 1.15;
constexpr double kSlackSeconds = 0.03;
// How many frames more than needed may wait on a screen that does not move before the worker waits for it.
constexpr double kFramesAhead = 2;
} // namespace

void PacingGate::frame_shown(std::int64_t frame_index, double planned_seconds) {
    // Frames of the walk before a restart may still come up; they say nothing about this one.
    if (frame_index >= frames_promised_ || frame_index <= shown_frame()) return;
    shown_ = {frame_index, planned_seconds};
}

void PacingGate::jumped() {
    jumped_ = true;
    promised_since_ = 0;
    shown_.reset();
}

void PacingGate::opening_shown(std::int64_t last_frame_index) {
    if (!jumped_) return;
    jumped_ = false;
    frames_promised_ = last_frame_index + 1 + promised_since_;
    shown_.reset();
}

void PacingGate::chunk_took(double seconds) {
    took_.push_back(seconds);
    if (took_.size() > kRemembered) took_.pop_front();
}

void PacingGate::reset() {
    frames_promised_ = 1;
    jumped_ = false;
    shown_.reset();
}

double PacingGate::lead_seconds() const { return *std::ranges::max_element(took_) * kMargin + kSlackSeconds; }

double PacingGate::wait_seconds(double now_seconds) const {
    if (took_.empty() || jumped_) return 0;
    const double lead = lead_seconds();
    const std::int64_t waiting = frames_promised_ - (shown_frame() + 1);
    if (static_cast<double>(waiting) > lead * fps_ + kFramesAhead) return 1 / fps_;
    if (!shown_) return 0;
    const double dry_at = shown_->planned_seconds + static_cast<double>(frames_promised_ - shown_->frame_index) / fps_;
    return std::max(0.0, dry_at - lead - now_seconds);
}

} // namespace wander
