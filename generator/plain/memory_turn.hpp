#pragma once
// Who may hold short-lived GPU tensors: the transformer inside a block, or the decoder inside a latent, never both.
//
// torch's allocator counts what the host holds, and the host runs ahead of the device. Without an order it is chance
// whether the widest moments of the two threads meet, and peak memory changes from run to run by 200 MiB at 480x832.
// Only handing over work to the device is ordered, which takes a few milliseconds; the device still runs both side by
// side. First come, first served: a decoder that waits is let in at the next boundary of a block. Any thread.

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace wander {

class MemoryTurn {
public:
    void take();
    void give();
    // At a point where the holder has few tensors: lets in whoever waits, then comes back.
    void yield();

private:
    std::mutex mutex_;
    std::condition_variable served_;
    std::uint64_t next_ticket_ = 0;
    std::uint64_t now_serving_ = 0;
};

// Holds a turn for a scope; a null turn is none.
class MemoryTurnGuard {
public:
    explicit MemoryTurnGuard(MemoryTurn* turn) : turn_(turn) {
        if (turn_) turn_->take();
    }
    ~MemoryTurnGuard() {
        if (turn_) turn_->give();
    }
    MemoryTurnGuard(const MemoryTurnGuard&) = delete;
    MemoryTurnGuard& operator=(const MemoryTurnGuard&) = delete;

private:
    MemoryTurn* turn_;
};

} // namespace wander
