#pragma once
// Decides when each decoded frame is shown.
//
// Frames arrive in bursts (a chunk at a time); the pacer spreads them evenly. While the generator keeps up, frame after
// frame follows the nominal rate, however unevenly chunks arrive: the long-run rate is the nominal one, and a frame
// that came too late is made up for by playing a little faster (4 %) until the play-out clock is met again. Only when
// chunks come too late again and again does the pacer stretch a chunk over the period that chunks really take: the
// median of the newest intervals, so that one hiccup does not change the speed. What was lost in that time is given up.
// When more than a chunk waits while it stretches, frames are shown faster (never above the nominal rate) until the
// backlog is gone. Presentation times only grow. Pure logic, one thread, times in seconds of one steady clock handed in
// by the caller.

#include "generator/plain/frame_sink.hpp"

#include <deque>
#include <optional>
#include <vector>

namespace wander::render {

class FramePacer {
public:
    struct Timed {
        FrameTicket ticket;
        double at_seconds = 0; // planned
    };
    struct Due {
        std::optional<Timed> show;  // the newest frame whose time has come
        std::vector<Timed> skipped; // older ones that were due too and were never shown, oldest first
    };

    void push(const FrameTicket& ticket, double now_seconds);
    Due take_due(double now_seconds);

    // When the next queued frame is due; nullopt when nothing waits.
    std::optional<double> next_due_seconds() const;
    // The walk paused, stepped or started anew: the gap until the next chunk says nothing about its speed.
    void interrupted();
    // Forgets everything, the speed included; returns what was queued.
    std::vector<FrameTicket> clear();

    double chunk_period_seconds() const; // that frames are spread over; 0 before the first chunk
    int queued() const { return static_cast<int>(queue_.size()); }

private:
    struct Arrival {
        double interval_seconds; // since the chunk before arrived
        bool late;               // the screen had run dry
    };

    // False: what lies between this frame and the one before (a pause, a new walk) is no lost playing time.
    bool note_chunk(const FrameTicket& ticket, double now_seconds);
    bool behind() const; // chunks come too late again and again

    std::deque<Timed> queue_;
    std::deque<Arrival> arrivals_;           // newest last
    std::optional<double> chunk_started_at_; // first frame of the current chunk
    std::int64_t current_chunk_ = -2;        // -1 is the start picture
    double nominal_seconds_ = 0;
    double last_planned_ = -1e300; // presentation time of the newest frame planned
    double debt_seconds_ = 0;      // by which the newest frame planned is later than the play-out clock
};

} // namespace wander::render
