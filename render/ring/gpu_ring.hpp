#pragma once
// What the renderer knows about a ring beyond FrameRing: the Vulkan buffer behind a slot and how its use is ordered.

#include "generator/plain/result.hpp"
#include "render/frame_ring.hpp"
#include "render/vk/submitter.hpp"

#include <vulkan/vulkan.h>

#include <memory>

namespace wander::render {

class Device;

class GpuRing : public FrameRing {
public:
    virtual VkBuffer buffer(int slot) const = 0;
    // Host bytes of a slot, or null where only the GPU can read it.
    virtual const std::uint8_t* host_bytes(int slot) const = 0;
    // Around the copy out of the slot: takes the buffer over from CUDA and gives it back (nothing to do for host
    // slots).
    virtual void record_take_over(VkCommandBuffer commands, int slot) const = 0;
    virtual void record_give_back(VkCommandBuffer commands, int slot) const = 0;
    // What the submission with that copy waits for.
    virtual SubmitSync sync_for(const FrameTicket& ticket) const = 0;
};

// Host-visible buffers; throws VulkanError.
std::shared_ptr<GpuRing> make_staged_ring(const Device& device, PixelSize frame_size, int slots);
// Device memory shared with CUDA; `unavailable` where device or driver cannot (the message says why): use the staged
// one then.
Result<std::shared_ptr<GpuRing>> make_shared_ring(const Device& device, PixelSize frame_size, int slots);

} // namespace wander::render
