#pragma once
// Where decoded frames wait for the screen: a fixed number of picture-sized slots between the decode thread and the
// presenter.
//
// Producer side (decode thread): wander::FrameSink. acquire() waits while every slot is taken: that is the
// back-pressure which keeps the generator at most one ring ahead. Consumer side (the thread that draws):
// take_published, then release every ticket once the GPU has finished reading its slot. Two kinds behind this
// interface, chosen by Renderer::make_ring: staged (host memory that Vulkan reads) and shared (Vulkan memory that CUDA
// writes; a timeline semaphore says when). The ring outlives neither side: close() it, join the producer, then drop it.
// The renderer that made it must outlive it.

#include "generator/plain/frame_sink.hpp"
#include "render/plain/pixels.hpp"

#include <cstdint>
#include <vector>

namespace wander::render {

class FrameRing : public FrameSink {
public:
    virtual PixelSize frame_size() const = 0;
    virtual int slot_count() const = 0;
    // True when slots carry a CUDA device pointer instead of a host pointer.
    virtual bool shared_with_cuda() const = 0;

    // Tickets published since the last call, oldest first. Never waits.
    virtual std::vector<FrameTicket> take_published() = 0;
    // True when the frame's bytes are complete (always so for host slots). Never waits.
    virtual bool is_ready(const FrameTicket& ticket) const = 0;
    // The slot may be overwritten from now on.
    virtual void release(const FrameTicket& ticket) = 0;

    // Wakes a waiting producer; from then on acquire answers slot -1. Any thread.
    virtual void close() = 0;
    // Takes everything back (a new walk begins): published tickets are dropped, slots that the producer fills stay
    // valid.
    virtual void discard_published() = 0;
};

} // namespace wander::render
