#pragma once
// The GPU (or its software stand-in) and its one queue: graphics, copies and, with a window, presentation.
//
// Chosen by UUID when one is given, else discrete before integrated before virtual before CPU. Needs Vulkan 1.3 with
// dynamic rendering, synchronization2 and timeline semaphores. The queue is used from one thread only.

#include <vulkan/vulkan.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace wander::render {

class Instance;
using DeviceUuid = std::array<std::uint8_t, VK_UUID_SIZE>;

struct DeviceWishes {
    std::optional<DeviceUuid> uuid;        // preferred, not required
    VkSurfaceKHR surface = VK_NULL_HANDLE; // the queue must be able to present to it
};

class Device {
public:
    // Throws VulkanError (INCOMPATIBLE_DRIVER when no device fits).
    Device(const Instance& instance, const DeviceWishes& wishes);
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;
    ~Device();

    VkDevice get() const { return device_; }
    VkPhysicalDevice physical() const { return physical_; }
    VkQueue queue() const { return queue_; }
    std::uint32_t queue_family() const { return queue_family_; }
    const std::string& name() const { return name_; }
    const DeviceUuid& uuid() const { return uuid_; }
    bool software() const { return software_; }
    // Memory and semaphores can be exported as file descriptors for CUDA.
    bool can_export() const { return get_memory_fd_ && get_semaphore_fd_; }

    // Memory type index with all `flags` among `type_bits`; throws when there is none.
    std::uint32_t memory_type(std::uint32_t type_bits, VkMemoryPropertyFlags flags) const;
    bool has_memory_type(std::uint32_t type_bits, VkMemoryPropertyFlags flags) const;
    // New descriptors that the caller owns; only with can_export().
    int export_memory(VkDeviceMemory memory) const;
    int export_semaphore(VkSemaphore semaphore) const;

private:
    VkPhysicalDevice physical_ = VK_NULL_HANDLE;
    VkDevice device_ = VK_NULL_HANDLE;
    VkQueue queue_ = VK_NULL_HANDLE;
    std::uint32_t queue_family_ = 0;
    VkPhysicalDeviceMemoryProperties memory_{};
    std::string name_;
    DeviceUuid uuid_{};
    bool software_ = false;
    PFN_vkGetMemoryFdKHR get_memory_fd_ = nullptr;
    PFN_vkGetSemaphoreFdKHR get_semaphore_fd_ = nullptr;
};

} // namespace wander::render
