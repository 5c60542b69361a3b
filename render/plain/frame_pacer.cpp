#include "render/plain/frame_pacer.hpp"

#include <algorithm>

namespace wander::render {
namespace {

constexpr std::size_t kRemembered = 5;
constexpr int kLateOnesThatCount = 2; // of the remembered: one is a hiccup
constexpr double kLateSeconds = 0.005;
// Playing faster by this factor is not noticed as such, yet removes a chunk of backlog in some seconds.
constexpr double kCatchUp = 0.85;
// The same above the nominal rate, where movement itself becomes faster: less.
constexpr double kPayBack = 0.96;
// Whoever makes chunks only as fast as they are shown repeats our own speed back to us: without a pull towards the
// nominal rate a slow second would last for ever. The cost: where the generator itself is slow, the last frame of a
// chunk stands a little longer.
constexpr double kPull = 0.96;
constexpr double kDefaultFrameSeconds = 1.0 / 16;

} // namespace

bool FramePacer::behind() const {
    return std::ranges::count_if(arrivals_, [](const Arrival& arrival) { return arrival.late; }) >= kLateOnesThatCount;
}

double FramePacer::chunk_period_seconds() const {
    if (!behind()) {
        return nominal_seconds_;
    }
    std::vector<double> sorted;
    sorted.reserve(arrivals_.size());
    for (const Arrival& arrival : arrivals_) {
        sorted.push_back(arrival.interval_seconds);
    }
    std::sort(sorted.begin(), sorted.end());
    return std::max(nominal_seconds_, sorted[sorted.size() / 2]);
}

bool FramePacer::note_chunk(const FrameTicket& ticket, double now_seconds) {
    if (ticket.chunk == current_chunk_) {
        return true;
    }
    if (ticket.chunk_period_hint_ms > 0) {
        nominal_seconds_ = ticket.chunk_period_hint_ms / 1000;
    }
    // The start picture's "chunk" has no playing time; the interval after it is the model's first, unrepresentative
    // run.
    const bool follows = chunk_started_at_ && current_chunk_ >= 0 && ticket.chunk == current_chunk_ + 1;
    if (follows) {
        const double due_at = last_planned_ + nominal_seconds_ / std::max(1, ticket.frames_in_chunk);
        arrivals_.push_back({std::max(0.0, now_seconds - *chunk_started_at_), now_seconds > due_at + kLateSeconds});
        if (arrivals_.size() > kRemembered) {
            arrivals_.pop_front();
        }
    }
    current_chunk_ = ticket.chunk;
    chunk_started_at_ = now_seconds;
    return follows;
}

void FramePacer::push(const FrameTicket& ticket, double now_seconds) {
    const bool follows = note_chunk(ticket, now_seconds);
    const int frames = std::max(1, ticket.frames_in_chunk);
    const double period = chunk_period_seconds();
    const double nominal = period > 0 ? nominal_seconds_ / frames : kDefaultFrameSeconds;
    double spacing = std::max(period * kPull / frames, nominal);
    if (queued() > frames) {
        // Never faster than the walk is meant to be: a generator that is ahead waits for a free slot instead.
        spacing = std::max(spacing * kCatchUp, nominal);
    }
    spacing = std::max(spacing - debt_seconds_, spacing * kPayBack);
    const double at = std::max(now_seconds, last_planned_ + spacing);
    debt_seconds_ = std::max(0.0, debt_seconds_ + (at - last_planned_) - nominal);
    if (!follows || behind() || debt_seconds_ > nominal * frames) {
        debt_seconds_ = 0;
    }
    last_planned_ = at;
    queue_.push_back({ticket, at});
}

FramePacer::Due FramePacer::take_due(double now_seconds) {
    Due due;
    while (!queue_.empty() && queue_.front().at_seconds <= now_seconds) {
        if (due.show) {
            due.skipped.push_back(*due.show);
        }
        due.show = queue_.front();
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
