#pragma once
// The window's images. They only ever receive a copy of the composed image. FIFO, made anew when the window's size
// changes.
//
// Acquire semaphores belong to a frame slot, present semaphores to an image of the swapchain: an image's present
// semaphore is free again only when that very image is acquired the next time. Main thread.

#include "render/plain/pixels.hpp"
#include "render/vk/handle.hpp"
#include "render/vk/submitter.hpp"

#include <vulkan/vulkan.h>

#include <array>
#include <optional>
#include <vector>

namespace wander::render {

class Device;

class Swapchain {
public:
    // The swapchain is made by the first rebuild. Throws VulkanError, as every call below.
    Swapchain(const Device& device, VkSurfaceKHR surface);

    // Format of the images, fixed for the life of the surface: what the composed image should have too.
    VkFormat format() const { return format_.format; }
    PixelSize size() const { return size_; }
    bool valid() const { return static_cast<bool>(swapchain_) && !out_of_date_; }

    // The GPU must be idle. `wanted` counts only where the desktop leaves the size to us; false when the window has no
    // size now.
    bool rebuild(PixelSize wanted);

    struct Target {
        std::uint32_t index = 0;
        VkImage image = VK_NULL_HANDLE;
        VkSemaphore acquired = VK_NULL_HANDLE; // the submission that writes the image waits for it
        VkSemaphore written = VK_NULL_HANDLE;  // ... and signals this one
    };
    // nullopt: no image within the time limit, or the swapchain is out of date (valid() tells).
    std::optional<Target> acquire(int frame_slot);
    void present(const Target& target);

private:
    const Device& device_;
    VkSurfaceKHR surface_;
    VkSurfaceFormatKHR format_{};
    SwapchainHandle swapchain_;
    std::vector<VkImage> images_;
    std::vector<SemaphoreHandle> written_;
    std::array<SemaphoreHandle, kFramesInFlight> acquired_;
    PixelSize size_;
    bool out_of_date_ = false;
};

} // namespace wander::render
