#pragma once
// The ticket of a frame in a walk of four-frame chunks, for tests that feed a frame ring.

#include "generator/plain/frame_sink.hpp"

namespace wander::test {

inline FrameTicket frame_ticket(std::int64_t frame, int slot, double chunk_period_ms) {
    FrameTicket ticket;
    ticket.slot = slot;
    ticket.frame_index = frame;
    ticket.chunk = frame / 4;
    ticket.index_in_chunk = static_cast<int>(frame % 4);
    ticket.frames_in_chunk = 4;
    ticket.chunk_period_hint_ms = chunk_period_ms;
    return ticket;
}

} // namespace wander::test
