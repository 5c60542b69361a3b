#include "render/swapchain.hpp"

#include "render/vk/check.hpp"
#include "render/vk/device.hpp"

#include <algorithm>
#include <utility>

namespace wander::render {
namespace {

// An occluded window may not give images back for a long time: do not let it stop the program.
constexpr std::uint64_t kAcquireLimitNs = 100'000'000;

VkSurfaceFormatKHR choose_format(const Device& device, VkSurfaceKHR surface) {
    std::uint32_t count = 0;
    WANDER_VK(vkGetPhysicalDeviceSurfaceFormatsKHR(device.physical(), surface, &count, nullptr));
    std::vector<VkSurfaceFormatKHR> formats(count);
    WANDER_VK(vkGetPhysicalDeviceSurfaceFormatsKHR(device.physical(), surface, &count, formats.data()));
    // Everything we draw is already sRGB-encoded, so the bytes must reach the screen as they are: a UNORM format.
    for (const VkFormat wanted : {VK_FORMAT_R8G8B8A8_UNORM, VK_FORMAT_B8G8R8A8_UNORM}) {
        for (const VkSurfaceFormatKHR& format : formats) {
            if (format.format == wanted && format.colorSpace == VK_COLOR_SPACE_SRGB_NONLINEAR_KHR) {
                return format;
            }
        }
    }
    throw VulkanError(VK_ERROR_FORMAT_NOT_SUPPORTED,
                      "Vulkan: " + device.name() + " offers no 8-bit RGBA format for this window");
}

} // namespace

Swapchain::Swapchain(const Device& device, VkSurfaceKHR surface)
    : device_(device), surface_(surface), format_(choose_format(device, surface)) {
    for (SemaphoreHandle& semaphore : acquired_) {
        semaphore = make_semaphore(device);
    }
}

bool Swapchain::rebuild(PixelSize wanted) {
    VkSurfaceCapabilitiesKHR capabilities;
    WANDER_VK(vkGetPhysicalDeviceSurfaceCapabilitiesKHR(device_.physical(), surface_, &capabilities));
    VkExtent2D extent = capabilities.currentExtent;
    if (extent.width == 0xffffffffu) {
        extent.width = std::clamp(static_cast<std::uint32_t>(std::max(0, wanted.width)),
                                  capabilities.minImageExtent.width, capabilities.maxImageExtent.width);
        extent.height = std::clamp(static_cast<std::uint32_t>(std::max(0, wanted.height)),
                                   capabilities.minImageExtent.height, capabilities.maxImageExtent.height);
    }
    if (wanted.empty() || extent.width == 0 || extent.height == 0) {
        out_of_date_ = true;
        return false;
    }
    VkSwapchainCreateInfoKHR info{VK_STRUCTURE_TYPE_SWAPCHAIN_CREATE_INFO_KHR};
    info.surface = surface_;
    info.minImageCount = std::max(3u, capabilities.minImageCount);
    if (capabilities.maxImageCount > 0) {
        info.minImageCount = std::min(info.minImageCount, capabilities.maxImageCount);
    }
    info.imageFormat = format_.format;
    info.imageColorSpace = format_.colorSpace;
    info.imageExtent = extent;
    info.imageArrayLayers = 1;
    info.imageUsage = VK_IMAGE_USAGE_TRANSFER_DST_BIT;
    info.imageSharingMode = VK_SHARING_MODE_EXCLUSIVE;
    info.preTransform = capabilities.currentTransform;
    info.compositeAlpha = capabilities.supportedCompositeAlpha & VK_COMPOSITE_ALPHA_OPAQUE_BIT_KHR
                              ? VK_COMPOSITE_ALPHA_OPAQUE_BIT_KHR
                              : VK_COMPOSITE_ALPHA_INHERIT_BIT_KHR;
    info.presentMode = VK_PRESENT_MODE_FIFO_KHR;
    info.clipped = VK_TRUE;
    info.oldSwapchain = swapchain_.get();
    if (!(capabilities.supportedUsageFlags & VK_IMAGE_USAGE_TRANSFER_DST_BIT)) {
        throw VulkanError(VK_ERROR_FEATURE_NOT_PRESENT, "Vulkan: this window cannot receive copies");
    }
    VkSwapchainKHR swapchain = VK_NULL_HANDLE;
    WANDER_VK(vkCreateSwapchainKHR(device_.get(), &info, nullptr, &swapchain));
    swapchain_ = SwapchainHandle(device_.get(), swapchain);
    size_ = {static_cast<int>(extent.width), static_cast<int>(extent.height)};

    std::uint32_t count = 0;
    WANDER_VK(vkGetSwapchainImagesKHR(device_.get(), swapchain, &count, nullptr));
    images_.resize(count);
    WANDER_VK(vkGetSwapchainImagesKHR(device_.get(), swapchain, &count, images_.data()));
    // New semaphores: an old one may still be waited for by a presentation that never comes.
    written_.clear();
    for (std::uint32_t i = 0; i < count; ++i) {
        written_.push_back(make_semaphore(device_));
    }
    for (SemaphoreHandle& semaphore : acquired_) {
        semaphore = make_semaphore(device_);
    }
    out_of_date_ = false;
    return true;
}

std::optional<Swapchain::Target> Swapchain::acquire(int frame_slot) {
    Target target;
    target.acquired = acquired_[static_cast<std::size_t>(frame_slot)].get();
    const VkResult result = vkAcquireNextImageKHR(device_.get(), swapchain_.get(), kAcquireLimitNs, target.acquired,
                                                  VK_NULL_HANDLE, &target.index);
    if (result == VK_ERROR_OUT_OF_DATE_KHR) {
        out_of_date_ = true;
        return std::nullopt;
    }
    if (result == VK_TIMEOUT || result == VK_NOT_READY) {
        return std::nullopt;
    }
    WANDER_VK(result);
    target.image = images_[target.index];
    target.written = written_[target.index].get();
    return target;
}

void Swapchain::present(const Target& target) {
    const VkSwapchainKHR swapchain = swapchain_.get();
    VkPresentInfoKHR info{VK_STRUCTURE_TYPE_PRESENT_INFO_KHR};
    info.waitSemaphoreCount = 1;
    info.pWaitSemaphores = &target.written;
    info.swapchainCount = 1;
    info.pSwapchains = &swapchain;
    info.pImageIndices = &target.index;
    const VkResult result = vkQueuePresentKHR(device_.queue(), &info);
    if (result == VK_ERROR_OUT_OF_DATE_KHR || result == VK_SUBOPTIMAL_KHR) {
        out_of_date_ = true;
        return;
    }
    WANDER_VK(result);
}

} // namespace wander::render
