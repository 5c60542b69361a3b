#pragma once
// Which slots of a ring are free, being filled, published: the part that both kinds of ring share. Thread safe.
//
// States of a slot: free -> (acquire) filling -> (publish) published -> (take) taken -> (release) free.

#include "generator/plain/frame_sink.hpp"

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <stop_token>
#include <vector>

namespace wander::render {

class SlotQueue {
public:
    explicit SlotQueue(int slots);

    // Waits for a free slot; -1 after close() or when stop is requested.
    int acquire(const std::stop_token& stop);
    void publish(const FrameTicket& ticket);
    std::vector<FrameTicket> take_published();
    void release(int slot);
    void discard_published();
    void close();
    int slot_count() const { return static_cast<int>(states_.size()); }

private:
    enum class SlotState : std::uint8_t { free, filling, published, taken };

    mutable std::mutex mutex_;
    std::condition_variable_any changed_;
    std::vector<SlotState> states_;
    std::deque<FrameTicket> published_;
    bool closed_ = false;
};

} // namespace wander::render
