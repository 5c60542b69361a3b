#pragma once
// Where pages are packed: on an NVIDIA GPU beside the passes, on a stream of the lowest priority that is joined with
// events; on the CPU, or where a policy asks for it, at once and on the caller's stream.
//
// What the packing of one turn read and wrote belongs to it until it is joined. Turns follow each other, and the caller
// joins one as late as it needs what that one made: the passes have priority, so a turn may end after the next one was
// handed over, and nobody should wait for that. Only a few are under way, though, or a slow one's work would gather and
// all be waited for at the end of the chunk. Where a turn changes pages, everything before it is joined first. When
// that happens depends on the calls alone, never on time. Worker thread.

#include "quant/cache/page_arena.hpp"
#include "quant/cache/stage_timer.hpp"

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>
#include <c10/core/Stream.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>

namespace wander::quant {

// A tensor on its way to the host. Made while the device's work goes on; wait() comes when the device is there.
class HostCopy {
public:
    explicit HostCopy(const at::Tensor& values);
    const at::Tensor& wait();

private:
    at::Tensor values_;
    std::optional<c10::Event> arrives_;
};

class PackStream {
public:
    static constexpr int kNoPages = -2; // "layer" of work that changes no page: it reads them and makes others
    static constexpr int kUnderWay = 3; // turns that may be, the newest one included
    using Ticket = std::int64_t;        // of a turn; 0: there is nothing to wait for

    // beside: false for everything on the caller's stream. The arena must outlive it.
    PackStream(PageArena& arena, at::Device device, bool beside);
    ~PackStream() = default; // join() comes first
    PackStream(const PackStream&) = delete;
    PackStream& operator=(const PackStream&) = delete;

    // Runs `work`, which hands over the packing of pages; layer: theirs, if it puts others in their place. It begins
    // after all that the current stream was given so far. Timed.
    Ticket pack(int layer, const std::function<void()>& work);
    // The current stream waits for what is under way; then what it released is free.
    void join();
    // It waits for this turn and those before it.
    void join_turn(Ticket turn);
    // The same where pages of this layer are under way.
    void join_layer(int layer) {
        if (layer == layer_) join();
    }

    double take_ms() { return timer_.take_ms(); } // since the last call, on whichever stream; waits for its end

private:
    class Turn;
    static constexpr int kNone = -1;

    c10::Event& end_of(Ticket turn) { return *ends_[static_cast<std::size_t>(turn % kUnderWay)]; }
    void wait_for(Ticket turn);

    PageArena& arena_;
    std::optional<c10::Stream> side_;
    std::optional<c10::Event> begins_;
    std::array<std::optional<c10::Event>, kUnderWay> ends_;
    std::optional<c10::Stream> home_; // where the newest turn came from: its pages' memory is that stream's
    int layer_ = kNone;               // of the newest turn, if it is under way
    Ticket newest_ = 0, joined_ = 0;  // at most kUnderWay apart
    StageTimer timer_;
};

} // namespace wander::quant
