// Slots in device memory that Vulkan exported and CUDA maps; one timeline semaphore that CUDA raises frame by frame.
//
// The way back needs no second semaphore: a slot returns to the producer only after the host has seen the copy finish.
// Hence no CUDA stream ever waits for Vulkan, and shutting down cannot deadlock.

#include "render/cuda_interop.hpp"
#include "render/plain/slot_queue.hpp"
#include "render/ring/gpu_ring.hpp"
#include "render/vk/buffer.hpp"
#include "render/vk/check.hpp"
#include "render/vk/device.hpp"

#include <array>
#include <atomic>
#include <cstdio>
#include <vector>

namespace wander::render {
namespace {

struct SharedSlot {
    Buffer buffer;
    CudaBuffer cuda; // declared last, so unmapped before Vulkan frees the memory
};

class SharedRing final : public GpuRing {
public:
    SharedRing(const Device& device, PixelSize frame_size, SemaphoreHandle timeline, CudaTimeline cuda_timeline,
               std::vector<SharedSlot> slots)
        : device_(device),
          frame_size_(frame_size),
          queue_(static_cast<int>(slots.size())),
          timeline_(std::move(timeline)),
          slots_(std::move(slots)),
          cuda_timeline_(std::move(cuda_timeline)) {}

    FrameSlot acquire(const std::stop_token& stop) override {
        FrameSlot slot;
        slot.slot = failed_ ? -1 : queue_.acquire(stop);
        if (slot.slot >= 0) {
            slot.device = slots_[static_cast<std::size_t>(slot.slot)].cuda.device_pointer();
        }
        return slot;
    }
    void publish(const FrameTicket& ticket, void* stream) override {
        FrameTicket stamped = ticket;
        stamped.timeline_value = ++signalled_;
        if (const Result<void> done = cuda_timeline_.signal(stamped.timeline_value, stream); !done) {
            // Without the signal the frame would never become ready: stop taking frames instead of hanging.
            std::fprintf(stderr, "%s\n", done.error().message.c_str());
            failed_ = true;
            queue_.close();
        }
        queue_.publish(stamped);
    }

    PixelSize frame_size() const override { return frame_size_; }
    int slot_count() const override { return queue_.slot_count(); }
    bool shared_with_cuda() const override { return true; }
    std::vector<FrameTicket> take_published() override { return queue_.take_published(); }
    bool is_ready(const FrameTicket& ticket) const override {
        std::uint64_t value = 0;
        WANDER_VK(vkGetSemaphoreCounterValue(device_.get(), timeline_.get(), &value));
        return value >= ticket.timeline_value;
    }
    void release(const FrameTicket& ticket) override { queue_.release(ticket.slot); }
    void close() override { queue_.close(); }
    void discard_published() override { queue_.discard_published(); }

    VkBuffer buffer(int slot) const override { return slots_[static_cast<std::size_t>(slot)].buffer.get(); }
    const std::uint8_t* host_bytes(int) const override { return nullptr; }
    void record_take_over(VkCommandBuffer commands, int slot) const override { record_transfer(commands, slot, true); }
    void record_give_back(VkCommandBuffer commands, int slot) const override { record_transfer(commands, slot, false); }
    SubmitSync sync_for(const FrameTicket& ticket) const override {
        SubmitSync sync;
        sync.wait_timeline = timeline_.get();
        sync.wait_value = ticket.timeline_value;
        return sync;
    }

private:
    void record_transfer(VkCommandBuffer commands, int slot, bool to_vulkan) const {
        VkBufferMemoryBarrier2 barrier{VK_STRUCTURE_TYPE_BUFFER_MEMORY_BARRIER_2};
        if (to_vulkan) {
            barrier.srcStageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT;
            barrier.dstStageMask = VK_PIPELINE_STAGE_2_ALL_TRANSFER_BIT;
            barrier.dstAccessMask = VK_ACCESS_2_TRANSFER_READ_BIT;
        } else {
            barrier.srcStageMask = VK_PIPELINE_STAGE_2_ALL_TRANSFER_BIT;
            barrier.dstStageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT;
        }
        barrier.srcQueueFamilyIndex = to_vulkan ? VK_QUEUE_FAMILY_EXTERNAL : device_.queue_family();
        barrier.dstQueueFamilyIndex = to_vulkan ? device_.queue_family() : VK_QUEUE_FAMILY_EXTERNAL;
        barrier.buffer = buffer(slot);
        barrier.size = VK_WHOLE_SIZE;
        VkDependencyInfo dependency{VK_STRUCTURE_TYPE_DEPENDENCY_INFO};
        dependency.bufferMemoryBarrierCount = 1;
        dependency.pBufferMemoryBarriers = &barrier;
        vkCmdPipelineBarrier2(commands, &dependency);
    }

    const Device& device_;
    PixelSize frame_size_;
    SlotQueue queue_;
    SemaphoreHandle timeline_;
    std::vector<SharedSlot> slots_;
    CudaTimeline cuda_timeline_;
    std::uint64_t signalled_ = 0; // producer thread only
    std::atomic<bool> failed_ = false;
};

} // namespace

Result<std::shared_ptr<GpuRing>> make_shared_ring(const Device& device, PixelSize frame_size, int slots) {
    const Result<std::array<std::uint8_t, 16>> uuid = cuda_device_uuid(0); // the device that the generator uses
    if (!uuid) return uuid.error();
    if (*uuid != device.uuid()) {
        return Error{ErrorCode::unavailable,
                     "CUDA's device is not " + device.name() + ", which draws; frames go through host memory"};
    }
    if (!device.can_export()) {
        return Error{ErrorCode::unavailable,
                     device.name() + " cannot share memory with CUDA; frames go through host memory"};
    }
    try {
        SemaphoreHandle timeline = make_timeline(device, true);
        Result<CudaTimeline> cuda_timeline = CudaTimeline::import_fd(device.export_semaphore(timeline.get()));
        if (!cuda_timeline) {
            return cuda_timeline.error();
        }
        std::vector<SharedSlot> shared;
        for (int i = 0; i < slots; ++i) {
            Buffer buffer(device, frame_size.bytes(), BufferKind::exported);
            Result<CudaBuffer> cuda =
                CudaBuffer::import_fd(device.export_memory(buffer.memory()), buffer.allocation_bytes(), buffer.bytes());
            if (!cuda) {
                return cuda.error();
            }
            shared.push_back({std::move(buffer), std::move(*cuda)});
        }
        return std::shared_ptr<GpuRing>(std::make_shared<SharedRing>(device, frame_size, std::move(timeline),
                                                                     std::move(*cuda_timeline), std::move(shared)));
    } catch (const VulkanError& error) {
        return error.error();
    }
}

} // namespace wander::render
