#pragma once
// Move-only owners of Vulkan objects that belong to a device: DeviceHandle<VkBuffer, vkDestroyBuffer>.
//
// The owner destroys at once: whoever drops it knows that the GPU is done with it (see RetireQueue).

#include <vulkan/vulkan.h>

#include <utility>

namespace wander::render {

template <typename T, auto destroy>
class DeviceHandle {
public:
    DeviceHandle() = default;
    DeviceHandle(VkDevice device, T handle) : device_(device), handle_(handle) {}
    DeviceHandle(DeviceHandle&& other) noexcept
        : device_(std::exchange(other.device_, VK_NULL_HANDLE)),
          handle_(std::exchange(other.handle_, VK_NULL_HANDLE)) {}
    DeviceHandle& operator=(DeviceHandle&& other) noexcept {
        std::swap(device_, other.device_);
        std::swap(handle_, other.handle_);
        return *this;
    }
    ~DeviceHandle() {
        if (handle_ != VK_NULL_HANDLE) {
            destroy(device_, handle_, nullptr);
        }
    }
    T get() const { return handle_; }
    const T* address() const { return &handle_; }
    explicit operator bool() const { return handle_ != VK_NULL_HANDLE; }

private:
    VkDevice device_ = VK_NULL_HANDLE;
    T handle_ = VK_NULL_HANDLE;
};

using MemoryHandle = DeviceHandle<VkDeviceMemory, vkFreeMemory>;
using BufferHandle = DeviceHandle<VkBuffer, vkDestroyBuffer>;
using ImageHandle = DeviceHandle<VkImage, vkDestroyImage>;
using ImageViewHandle = DeviceHandle<VkImageView, vkDestroyImageView>;
using SamplerHandle = DeviceHandle<VkSampler, vkDestroySampler>;
using SemaphoreHandle = DeviceHandle<VkSemaphore, vkDestroySemaphore>;
using CommandPoolHandle = DeviceHandle<VkCommandPool, vkDestroyCommandPool>;
using ShaderModuleHandle = DeviceHandle<VkShaderModule, vkDestroyShaderModule>;
using PipelineHandle = DeviceHandle<VkPipeline, vkDestroyPipeline>;
using PipelineLayoutHandle = DeviceHandle<VkPipelineLayout, vkDestroyPipelineLayout>;
using SetLayoutHandle = DeviceHandle<VkDescriptorSetLayout, vkDestroyDescriptorSetLayout>;
using DescriptorPoolHandle = DeviceHandle<VkDescriptorPool, vkDestroyDescriptorPool>;
using SwapchainHandle = DeviceHandle<VkSwapchainKHR, vkDestroySwapchainKHR>;

} // namespace wander::render
