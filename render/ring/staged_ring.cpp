#include "render/plain/slot_queue.hpp"
#include "render/ring/gpu_ring.hpp"
#include "render/vk/buffer.hpp"

#include <vector>

namespace wander::render {
namespace {

class StagedRing final : public GpuRing {
public:
    StagedRing(const Device& device, PixelSize frame_size, int slots) : frame_size_(frame_size), queue_(slots) {
        for (int i = 0; i < slots; ++i) {
            buffers_.emplace_back(device, frame_size.bytes(), BufferKind::upload);
        }
    }

    FrameSlot acquire(const std::stop_token& stop) override {
        FrameSlot slot;
        slot.slot = queue_.acquire(stop);
        if (slot.slot >= 0) {
            slot.host = buffers_[static_cast<std::size_t>(slot.slot)].mapped();
        }
        return slot;
    }
    void publish(const FrameTicket& ticket, void*) override {
        FrameTicket stamped = ticket;
        stamped.timeline_value = ++published_;
        queue_.publish(stamped);
    }

    PixelSize frame_size() const override { return frame_size_; }
    int slot_count() const override { return queue_.slot_count(); }
    bool shared_with_cuda() const override { return false; }
    std::vector<FrameTicket> take_published() override { return queue_.take_published(); }
    bool is_ready(const FrameTicket&) const override { return true; }
    void release(const FrameTicket& ticket) override { queue_.release(ticket.slot); }
    void close() override { queue_.close(); }
    void discard_published() override { queue_.discard_published(); }

    VkBuffer buffer(int slot) const override { return buffers_[static_cast<std::size_t>(slot)].get(); }
    const std::uint8_t* host_bytes(int slot) const override {
        return buffers_[static_cast<std::size_t>(slot)].mapped();
    }
    // Submitting makes coherent host writes visible by itself.
    void record_take_over(VkCommandBuffer, int) const override {}
    void record_give_back(VkCommandBuffer, int) const override {}
    SubmitSync sync_for(const FrameTicket&) const override { return {}; }

private:
    PixelSize frame_size_;
    SlotQueue queue_;
    std::vector<Buffer> buffers_;
    std::uint64_t published_ = 0; // producer thread only
};

} // namespace

std::shared_ptr<GpuRing> make_staged_ring(const Device& device, PixelSize frame_size, int slots) {
    return std::make_shared<StagedRing>(device, frame_size, slots);
}

} // namespace wander::render
