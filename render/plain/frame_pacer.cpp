#include "render/plain/frame_pacer.hpp"

#include <algorithm>

namespace wander::render {
namespace {

constexpr std::size_t kRemembered = 5;
// Playing faster by this factor is not noticed as such, yet removes a chunk of backlog in some seconds.
constexpr double kCatchUp = 0.85;
// Whoever makes chunks only as fast as they are shown repeats our own speed back to us: without a pull towards the
// nominal rate a slow second would last for ever. The cost: where the generator itself is slow, the last frame of a
// chunk stands a little longer.
constexpr double kPull = 0.96;
constexpr double kDefaultFrameSeconds = 1.0 / 16;

} // namespace

double FramePacer::chunk_period_seconds() const {
    if (intervals_.empty()) {
        return nominal_seconds_;
    }
    std::vector<double> sorted(intervals_.begin(), intervals_.end());
    std::sort(sorted.begin(), sorted.end());
    return std::max(nominal_seconds_, sorted[sorted.size() / 2]);
}

void FramePacer::note_chunk(const FrameTicket& ticket, double now_seconds) {
    if (ticket.chunk == current_chunk_) {
        return;
    }
    // The start picture's "chunk" has no playing time; the interval after it is the model's first, unrepresentative
    // run.
    const bool follows = chunk_started_at_ && current_chunk_ >= 0 && ticket.chunk == current_chunk_ + 1;
    if (follows) {
        intervals_.push_back(std::max(0.0, now_seconds - *chunk_started_at_));
        if (intervals_.size() > kRemembered) {
            intervals_.pop_front();
        }
    }
    current_chunk_ = ticket.chunk;
    chunk_started_at_ = now_seconds;
    if (ticket.chunk_period_hint_ms > 0) {
        nominal_seconds_ = ticket.chunk_period_hint_ms / 1000;
    }
}

void FramePacer::push(const FrameTicket& ticket, double now_seconds) {
    note_chunk(ticket, now_seconds);
    const int frames = std::max(1, ticket.frames_in_chunk);
    const double period = chunk_period_seconds();
    double spacing = period > 0 ? std::max(period * kPull, nominal_seconds_) / frames : kDefaultFrameSeconds;
    if (queued() > frames) {
        // Never faster than the walk is meant to be: a generator that is ahead waits for a free slot instead.
        spacing = std::max(spacing * kCatchUp, nominal_seconds_ / frames);
    }
    const double at = std::max(now_seconds, last_planned_ + spacing);
    last_planned_ = at;
    queue_.push_back({ticket, at});
}

FramePacer::Due FramePacer::take_due(double now_seconds) {
    Due due;
    while (!queue_.empty() && queue_.front().at_seconds <= now_seconds) {
        if (due.show) {
            due.skipped.push_back(*due.show);
        }
        due.show = queue_.front().ticket;
        queue_.pop_front();
    }
    return due;
}

std::optional<double> FramePacer::next_due_seconds() const {
    if (queue_.empty()) {
        return std::nullopt;
    }
    return queue_.front().at_seconds;
}

void FramePacer::interrupted() { chunk_started_at_.reset(); }

std::vector<FrameTicket> FramePacer::clear() {
    std::vector<FrameTicket> tickets;
    tickets.reserve(queue_.size());
    for (const Timed& timed : queue_) {
        tickets.push_back(timed.ticket);
    }
    *this = FramePacer{};
    return tickets;
}

} // namespace wander::render
