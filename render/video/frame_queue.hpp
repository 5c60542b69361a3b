#pragma once
// The bounded queue between who shows frames and the recorder's thread. Buffers are reused, so a running recording
// allocates nothing. Any thread may push; one takes. No libav here.

#include "render/plain/pixels.hpp"
#include "render/video/recorder.hpp"

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

namespace wander::render {

class FrameQueue {
public:
    FrameQueue(PixelSize size, int capacity, QueuePolicy policy);

    // False: the queue is closed, or full and the policy drops.
    bool push(const PixelView& picture);
    struct Item {
        std::int64_t index = 0; // of all frames pushed, dropped ones included
        std::vector<std::uint8_t> rgba;
    };
    // Waits for a frame; false when the queue is closed and empty. The previous buffer of `item` is taken back.
    bool take(Item& item);
    // No further frames; what is queued can still be taken, unless `discard`.
    void close(bool discard);

    std::int64_t pushed() const;
    std::int64_t dropped() const;

private:
    const PixelSize size_;
    const std::size_t capacity_;
    const QueuePolicy policy_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Item> items_;
    std::vector<std::vector<std::uint8_t>> spare_;
    std::int64_t pushed_ = 0;
    std::int64_t dropped_ = 0;
    bool closed_ = false;
};

} // namespace wander::render
