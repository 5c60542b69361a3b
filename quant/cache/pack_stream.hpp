#pragma once
// Where pages are packed: on an NVIDIA GPU beside the passes, on a stream of the lowest priority that is joined with
// events; on the CPU, or where a policy asks for it, at once and on the caller's stream.
//
// What the packing of one turn read and wrote belongs to it until it is joined. Turns follow each other: the next one
// joins the one before, so what one turn released is free when the next begins. When that happens depends on the calls
// alone, never on time. Worker thread.

#include "quant/cache/page_arena.hpp"
#include "quant/cache/stage_timer.hpp"

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>
#include <c10/core/Stream.h>

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

    // beside: false for everything on the caller's stream. The arena must outlive it.
    PackStream(PageArena& arena, at::Device device, bool beside);
    ~PackStream() = default; // join() comes first
    PackStream(const PackStream&) = delete;
    PackStream& operator=(const PackStream&) = delete;

    // Runs `work`, which hands over the packing of pages; layer: theirs, if it puts others in their place. It begins
    // after all that the current stream was given so far. Timed.
    void pack(int layer, const std::function<void()>& work);
    // The current stream waits for what is under way; then what it released is free.
    void join();
    // The same where pages of this layer are under way.
    void join_layer(int layer) {
        if (layer == layer_) join();
    }

    double take_ms() { return timer_.take_ms(); } // since the last call, on whichever stream; waits for its end

private:
    class Turn;
    static constexpr int kNone = -1;

    PageArena& arena_;
    std::optional<c10::Stream> side_;
    std::optional<c10::Event> begins_, ends_;
    int layer_ = kNone; // of the turn under way
    StageTimer timer_;
};

} // namespace wander::quant
