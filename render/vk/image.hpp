#pragma once
// A 2D colour image with its own device memory and view, and the barrier between its uses.

#include "render/plain/pixels.hpp"
#include "render/vk/handle.hpp"

namespace wander::render {

class Device;

// How the GPU uses an image at one point of a command buffer. Layout, stage and access follow from it.
enum class ImageUse {
    undefined,     // contents are not needed
    transfer_to,   // target of a copy, blit or clear
    transfer_from, // source of a copy or blit
    sampled,       // read by fragment shaders
    attachment,    // rendered to (and blended over)
    present,       // handed to the presentation engine
};

class Image {
public:
    Image() = default;
    // Throws VulkanError.
    Image(const Device& device, PixelSize size, VkFormat format, VkImageUsageFlags usage);

    VkImage get() const { return image_.get(); }
    VkImageView view() const { return view_.get(); }
    PixelSize size() const { return size_; }
    VkFormat format() const { return format_; }
    explicit operator bool() const { return static_cast<bool>(image_); }

    // Records the barrier from the previous use to `use`; the image remembers its use in the order of recording.
    void change_use(VkCommandBuffer commands, ImageUse use, bool discard = false);
    VkImageLayout layout() const;

private:
    MemoryHandle memory_;
    ImageHandle image_;
    ImageViewHandle view_;
    PixelSize size_;
    VkFormat format_ = VK_FORMAT_UNDEFINED;
    ImageUse use_ = ImageUse::undefined;
};

VkImageLayout layout_of(ImageUse use);
// For images that are not ours (a swapchain's).
void record_image_barrier(VkCommandBuffer commands, VkImage image, ImageUse from, ImageUse to, bool discard);

} // namespace wander::render
