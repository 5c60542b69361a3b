#include "render/plain/slot_queue.hpp"

#include <algorithm>
#include <cassert>

namespace wander::render {

SlotQueue::SlotQueue(int slots) : states_(static_cast<std::size_t>(slots), SlotState::free) { assert(slots > 0); }

int SlotQueue::acquire(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    const auto free_slot = [this] { return std::find(states_.begin(), states_.end(), SlotState::free); };
    changed_.wait(lock, stop, [&] { return closed_ || free_slot() != states_.end(); });
    const auto slot = free_slot();
    if (closed_ || stop.stop_requested() || slot == states_.end()) {
        return -1;
    }
    *slot = SlotState::filling;
    return static_cast<int>(slot - states_.begin());
}

void SlotQueue::publish(const FrameTicket& ticket) {
    const std::lock_guard lock(mutex_);
    SlotState& state = states_.at(static_cast<std::size_t>(ticket.slot));
    assert(state == SlotState::filling);
    if (closed_) {
        state = SlotState::free;
        return;
    }
    state = SlotState::published;
    published_.push_back(ticket);
}

std::vector<FrameTicket> SlotQueue::take_published() {
    const std::lock_guard lock(mutex_);
    std::vector<FrameTicket> tickets(published_.begin(), published_.end());
    published_.clear();
    for (const FrameTicket& ticket : tickets) {
        states_[static_cast<std::size_t>(ticket.slot)] = SlotState::taken;
    }
    return tickets;
}

void SlotQueue::release(int slot) {
    {
        const std::lock_guard lock(mutex_);
        SlotState& state = states_.at(static_cast<std::size_t>(slot));
        assert(state == SlotState::taken);
        state = SlotState::free;
    }
    changed_.notify_all();
}

void SlotQueue::discard_published() {
    {
        const std::lock_guard lock(mutex_);
        for (const FrameTicket& ticket : published_) {
            states_[static_cast<std::size_t>(ticket.slot)] = SlotState::free;
        }
        published_.clear();
    }
    changed_.notify_all();
}

void SlotQueue::close() {
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
    }
    changed_.notify_all();
}

} // namespace wander::render
