#pragma once
// Decides when each decoded frame is shown.
//
// Frames arrive in bursts (a chunk at a time); the pacer spreads a chunk evenly over the period that chunks really
// take: the nominal playing time while the generator keeps up, longer when it does not. The estimate is the median of
// the newest chunk intervals, so that one hiccup does not change the speed. When more than a chunk waits, frames are
// shown a little faster (but never above the nominal rate) until the backlog is gone. Presentation times only grow.
// Pure logic, one thread, times in seconds of one steady clock handed in by the caller.

#include "generator/plain/frame_sink.hpp"

#include <deque>
#include <optional>
#include <vector>

namespace wander::render {

class FramePacer {
public:
    struct Due {
        std::optional<FrameTicket> show;  // the newest frame whose time has come
        std::vector<FrameTicket> skipped; // older ones that were due too and were never shown, oldest first
    };

    void push(const FrameTicket& ticket, double now_seconds);
    Due take_due(double now_seconds);

    // When the next queued frame is due; nullopt when nothing waits.
    std::optional<double> next_due_seconds() const;
    // The walk paused, stepped or started anew: the gap until the next chunk says nothing about its speed.
    void interrupted();
    // Forgets everything, the speed included; returns what was queued.
    std::vector<FrameTicket> clear();

    double chunk_period_seconds() const; // the estimate; 0 before the first chunk
    int queued() const { return static_cast<int>(queue_.size()); }

private:
    struct Timed {
        FrameTicket ticket;
        double at_seconds;
    };

    void note_chunk(const FrameTicket& ticket, double now_seconds);

    std::deque<Timed> queue_;
    std::deque<double> intervals_;           // seconds between chunk starts, newest last
    std::optional<double> chunk_started_at_; // first frame of the current chunk
    std::int64_t current_chunk_ = -2;        // -1 is the start picture
    double nominal_seconds_ = 0;
    double last_planned_ = -1e300; // presentation time of the newest frame planned
};

} // namespace wander::render
