#pragma once
// Where decoded frames go: the window's frame ring, a recorder, a folder of PNGs, or several of them.
//
// The decode thread calls acquire -> fill -> publish for every frame, in order. A sink must be thread safe
// against its own consumer. Rows are tightly packed RGBA8 (A = 255), top row first.

#include "generator/plain/control_state.hpp"

#include <cstdint>
#include <stop_token>

namespace wander {

struct FrameTicket {
    int slot = 0;
    std::uint64_t timeline_value = 0; // the slot is readable once the ring's timeline reaches this
    std::int64_t frame_index = 0;     // since the start of the walk; frame 0 is the start picture
    std::int64_t chunk = -1;          // -1 = the start picture
    int index_in_chunk = 0;
    int frames_in_chunk = 1;
    double chunk_period_hint_ms = 0; // playing time of the chunk at the nominal rate
    double input_at_seconds = 0;     // steady clock: when the controls of this chunk were sampled
    Pose pose;
};

struct FrameSlot {
    int slot = -1;                // < 0: the sink was closed, drop the frame
    std::uint8_t* host = nullptr; // staged path: write width * height * 4 bytes here
    void* device = nullptr;       // shared path: CUDA device pointer of the same size, else null
    void* cuda_stream = nullptr;  // reserved
};

class FrameSink {
public:
    virtual ~FrameSink() = default;
    // Waits until a slot is free (back-pressure) or stop is requested.
    virtual FrameSlot acquire(const std::stop_token& stop) = 0;
    // For a device slot `stream` (a cudaStream_t) is the stream on which the frame was written; null for host slots.
    virtual void publish(const FrameTicket& ticket, void* stream) = 0;
};

} // namespace wander
