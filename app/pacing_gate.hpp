#pragma once
// Decides when the worker may sample the controls for its next chunk: as late as it can without a gap on screen.
//
// A chunk takes a while to make; frames already made take a while to play. Starting the next chunk earlier than "time
// to make it" before the screen runs dry only makes the picture answer later. Pure logic in seconds, no clock of its
// own, one thread (callers lock).

#include <cstdint>

namespace wander {

class PacingGate {
public:
    explicit PacingGate(double fps) : fps_(fps) {}

    void chunk_started(int frames) { frames_promised_ += frames; }
    void frame_shown(std::int64_t frame_index);
    // Time from sampling the controls to the chunk's last frame, as measured.
    void chunk_took(double seconds);
    void reset();

    // Playing time of everything promised and not yet shown.
    double playing_seconds() const;
    // 0: start now; else look again after that time.
    double wait_seconds() const;

private:
    double fps_;
    std::int64_t frames_promised_ = 1; // the start picture
    std::int64_t frames_shown_ = 0;
    double expected_seconds_ = -1; // < 0: nothing measured yet, so never wait
};

} // namespace wander
