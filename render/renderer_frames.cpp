// The walk's frames: from the ring, through the pacer, into the picture.

#include "render/renderer_state.hpp"

#include <cassert>
#include <cstring>

namespace wander::render {

bool Renderer::State::advance(double now_seconds) {
    if (!ring) {
        return false;
    }
    release_finished();
    for (const FrameTicket& ticket : ring->take_published()) {
        arriving.push_back(ticket);
    }
    while (!arriving.empty() && ring->is_ready(arriving.front())) {
        pacer.push(arriving.front(), now_seconds);
        arriving.pop_front();
    }
    const FramePacer::Due due = pacer.take_due(now_seconds);
    for (const FramePacer::Timed& frame : due.skipped) {
        call_tap(frame);
        ring->release(frame.ticket);
        ++skipped;
    }
    if (!due.show) {
        return false;
    }
    call_tap(*due.show);
    if (upload) {
        ring->release(*upload); // overtaken before it was drawn (a minimised window)
        ++skipped;
    }
    upload = due.show->ticket;
    shown = due.show->ticket;
    return true;
}

void Renderer::State::record_upload(VkCommandBuffer commands, SubmitSync& sync) {
    if (!upload) {
        return;
    }
    sync.wait_timeline = ring->sync_for(*upload).wait_timeline;
    sync.wait_value = ring->sync_for(*upload).wait_value;
    ring->record_take_over(commands, upload->slot);
    upscaler->record_upload(commands, ring->buffer(upload->slot), ring->frame_size());
    ring->record_give_back(commands, upload->slot);
    in_recording_ = upload;
    upload.reset();
}

void Renderer::State::note_submitted(std::uint64_t value) {
    if (in_recording_) {
        held.push_back({value, *in_recording_});
        in_recording_.reset();
    }
}

void Renderer::State::release_finished() {
    const std::uint64_t done = held.empty() ? 0 : submitter->finished();
    while (!held.empty() && held.front().until <= done) {
        ring->release(held.front().ticket);
        held.pop_front();
    }
}

void Renderer::State::drop_frames() {
    if (!ring) {
        return;
    }
    ring->discard_published();
    for (const FrameTicket& ticket : arriving) {
        ring->release(ticket);
    }
    arriving.clear();
    for (const FrameTicket& ticket : pacer.clear()) {
        ring->release(ticket);
    }
    if (upload) {
        ring->release(*upload);
        upload.reset();
    }
}

void Renderer::State::call_tap(const FramePacer::Timed& frame) {
    if (!tap) {
        return;
    }
    const FrameTicket& ticket = frame.ticket;
    const std::uint8_t* bytes = ring->host_bytes(ticket.slot);
    if (!bytes) {
        const PixelSize size = ring->frame_size();
        if (read_back.bytes() < size.bytes()) {
            read_back = Buffer(*device, size.bytes(), BufferKind::read_back);
        }
        const VkCommandBuffer commands = submitter->begin();
        ring->record_take_over(commands, ticket.slot);
        const VkBufferCopy copy{0, 0, size.bytes()};
        vkCmdCopyBuffer(commands, ring->buffer(ticket.slot), read_back.get(), 1, &copy);
        ring->record_give_back(commands, ticket.slot);
        read_into(commands, size.bytes(), ring->sync_for(ticket));
        bytes = read_back.mapped();
    }
    tap(ticket, {ring->frame_size(), bytes}, frame.at_seconds);
}

void Renderer::State::set_ring(std::shared_ptr<GpuRing> next) {
    if (ring) {
        ring->close(); // first: dropped frames free slots, and nobody shall take them any more
        drop_frames();
        submitter->wait(submitter->last_submitted());
        release_finished();
    }
    ring = std::move(next);
    shown.reset();
}

void Renderer::State::show_picture(PixelView picture) {
    assert(!picture.size.empty() && picture.rgba);
    auto staging = std::make_shared<Buffer>(*device, picture.size.bytes(), BufferKind::upload);
    std::memcpy(staging->mapped(), picture.rgba, picture.size.bytes());
    const VkCommandBuffer commands = submitter->begin();
    upscaler->record_upload(commands, staging->get(), picture.size);
    submitter->retire(staging);
    submitter->submit({});
    shown.reset();
}

Result<std::shared_ptr<FrameRing>> Renderer::make_ring(PixelSize frame_size, int slots, bool want_cuda) {
    if (frame_size.empty() || slots < 2) {
        return Error{ErrorCode::wrong_use, "a frame ring needs a picture size and at least two slots"};
    }
    return guarded([&] {
        std::shared_ptr<GpuRing> next;
        if (want_cuda) {
            Result<std::shared_ptr<GpuRing>> shared = make_shared_ring(*state_->device, frame_size, slots);
            if (shared) {
                next = *shared;
            } else {
                state_->notes += shared.error().message + "\n";
            }
        }
        if (!next) {
            next = make_staged_ring(*state_->device, frame_size, slots);
        }
        state_->set_ring(next);
        return std::static_pointer_cast<FrameRing>(next);
    });
}

std::shared_ptr<FrameRing> Renderer::ring() const { return state_->ring; }
Result<bool> Renderer::advance(double now_seconds) {
    return guarded([&] { return state_->advance(now_seconds); });
}
std::optional<double> Renderer::next_due_seconds() const { return state_->pacer.next_due_seconds(); }
const std::optional<FrameTicket>& Renderer::shown() const { return state_->shown; }
std::int64_t Renderer::skipped_frames() const { return state_->skipped; }
double Renderer::chunk_period_seconds() const { return state_->pacer.chunk_period_seconds(); }
void Renderer::interrupt_pacing() { state_->pacer.interrupted(); }
void Renderer::clear_frames() { state_->drop_frames(); }
void Renderer::set_frame_tap(FrameTap tap) { state_->tap = std::move(tap); }
Result<void> Renderer::show_picture(PixelView picture) {
    if (picture.size.empty() || !picture.rgba) {
        return Error{ErrorCode::wrong_use, "an empty picture cannot be shown"};
    }
    return guarded([&] { state_->show_picture(picture); });
}

} // namespace wander::render
