#pragma once
// Decides when the worker may sample the controls for its next chunk: as late as it can without a gap on screen.
//
// A chunk takes a while to make; frames already made take a while to play. Starting the next chunk earlier than "time
// to make it" before the screen runs dry only makes the picture answer later. The moment is reckoned from the planned
// times at which frames are shown, not from when the last chunk was finished: chunks then follow each other at the rate
// at which they are played, and no delay adds up. Pure logic, times in seconds of one steady clock handed in by the
// caller, one thread (callers lock).

#include <cstdint>
#include <deque>
#include <optional>

namespace wander {

class PacingGate {
public:
    explicit PacingGate(double fps) : fps_(fps) {}

    void chunk_started(int frames) { promise(frames); }
    // A chunk has other than the usual number of frames: a walk's first one.
    void promise(int more_frames) {
        frames_promised_ += more_frames;
        promised_since_ += more_frames;
    }
    // The walk went back or on from elsewhere: what shows where it stands now comes next, as frames of no chunk.
    void jumped();
    // Such frames are shown; the last of them has this index.
    void opening_shown(std::int64_t last_frame_index);
    // `planned_seconds`: when the frame was to be shown.
    void frame_shown(std::int64_t frame_index, double planned_seconds);
    // Time from sampling the controls to the chunk's last frame, as measured.
    void chunk_took(double seconds);
    void reset();

    // 0: start now; else look again after that time, or when a frame was shown.
    double wait_seconds(double now_seconds) const;
    std::int64_t shown_frame() const { return shown_ ? shown_->frame_index : -1; } // the newest; -1: none

private:
    double lead_seconds() const;

    struct Shown {
        std::int64_t frame_index;
        double planned_seconds;
    };

    double fps_;
    std::int64_t frames_promised_ = 1; // the start picture
    std::int64_t promised_since_ = 0;  // since the walk jumped
    bool jumped_ = false;              // and its frames were not shown yet
    std::optional<Shown> shown_;       // the newest
    std::deque<double> took_;          // of the newest chunks; empty: nothing measured yet, so never wait
};

} // namespace wander
