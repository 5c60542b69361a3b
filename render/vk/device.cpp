#include "render/vk/device.hpp"

#include "render/vk/check.hpp"
#include "render/vk/instance.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

namespace wander::render {
namespace {

struct Candidate {
    VkPhysicalDevice physical = VK_NULL_HANDLE;
    std::uint32_t family = 0;
    int score = -1;
};

bool has_extension(const std::vector<VkExtensionProperties>& list, const char* name) {
    return std::any_of(list.begin(), list.end(),
                       [&](const VkExtensionProperties& e) { return std::strcmp(e.extensionName, name) == 0; });
}

std::vector<VkExtensionProperties> extensions_of(VkPhysicalDevice physical) {
    std::uint32_t count = 0;
    vkEnumerateDeviceExtensionProperties(physical, nullptr, &count, nullptr);
    std::vector<VkExtensionProperties> list(count);
    vkEnumerateDeviceExtensionProperties(physical, nullptr, &count, list.data());
    return list;
}

DeviceUuid uuid_of(VkPhysicalDevice physical) {
    VkPhysicalDeviceIDProperties ids{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES};
    VkPhysicalDeviceProperties2 properties{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
    properties.pNext = &ids;
    vkGetPhysicalDeviceProperties2(physical, &properties);
    DeviceUuid uuid;
    std::copy(std::begin(ids.deviceUUID), std::end(ids.deviceUUID), uuid.begin());
    return uuid;
}

int type_score(VkPhysicalDeviceType type) {
    switch (type) {
        case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: return 40;
        case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return 30;
        case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: return 20;
        case VK_PHYSICAL_DEVICE_TYPE_CPU: return 10;
        default: return 5;
    }
}

bool has_features(VkPhysicalDevice physical) {
    VkPhysicalDeviceVulkan13Features f13{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES};
    VkPhysicalDeviceVulkan12Features f12{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
    f12.pNext = &f13;
    VkPhysicalDeviceFeatures2 features{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
    features.pNext = &f12;
    vkGetPhysicalDeviceFeatures2(physical, &features);
    return f13.dynamicRendering && f13.synchronization2 && f12.timelineSemaphore;
}

Candidate judge(VkPhysicalDevice physical, const DeviceWishes& wishes) {
    Candidate candidate{physical, 0, -1};
    VkPhysicalDeviceProperties properties;
    vkGetPhysicalDeviceProperties(physical, &properties);
    if (properties.apiVersion < VK_API_VERSION_1_3 || !has_features(physical)) {
        return candidate;
    }
    if (wishes.surface != VK_NULL_HANDLE && !has_extension(extensions_of(physical), VK_KHR_SWAPCHAIN_EXTENSION_NAME)) {
        return candidate;
    }
    std::uint32_t count = 0;
    vkGetPhysicalDeviceQueueFamilyProperties(physical, &count, nullptr);
    std::vector<VkQueueFamilyProperties> families(count);
    vkGetPhysicalDeviceQueueFamilyProperties(physical, &count, families.data());
    for (std::uint32_t family = 0; family < count; ++family) {
        if (!(families[family].queueFlags & VK_QUEUE_GRAPHICS_BIT)) {
            continue;
        }
        VkBool32 presents = VK_TRUE;
        if (wishes.surface != VK_NULL_HANDLE &&
            vkGetPhysicalDeviceSurfaceSupportKHR(physical, family, wishes.surface, &presents) != VK_SUCCESS) {
            presents = VK_FALSE;
        }
        if (presents) {
            candidate.family = family;
            candidate.score = type_score(properties.deviceType);
            break;
        }
    }
    if (candidate.score > 0 && wishes.uuid && uuid_of(physical) == *wishes.uuid) {
        candidate.score += 100;
    }
    return candidate;
}

Candidate choose(const Instance& instance, const DeviceWishes& wishes) {
    std::uint32_t count = 0;
    // A loader without any driver answers INCOMPATIBLE_DRIVER or zero devices: the same to us.
    if (vkEnumeratePhysicalDevices(instance.get(), &count, nullptr) < 0) {
        count = 0;
    }
    std::vector<VkPhysicalDevice> devices(count);
    if (count > 0) {
        WANDER_VK(vkEnumeratePhysicalDevices(instance.get(), &count, devices.data()));
    }
    Candidate best;
    for (VkPhysicalDevice physical : devices) {
        const Candidate candidate = judge(physical, wishes);
        if (candidate.score > best.score) {
            best = candidate;
        }
    }
    if (best.score < 0) {
        throw VulkanError(VK_ERROR_INCOMPATIBLE_DRIVER, "Vulkan: no device fits");
    }
    return best;
}

} // namespace

Device::Device(const Instance& instance, const DeviceWishes& wishes) {
    const Candidate choice = choose(instance, wishes);
    physical_ = choice.physical;
    queue_family_ = choice.family;
    VkPhysicalDeviceProperties properties;
    vkGetPhysicalDeviceProperties(physical_, &properties);
    name_ = properties.deviceName;
    software_ = properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
    uuid_ = uuid_of(physical_);
    vkGetPhysicalDeviceMemoryProperties(physical_, &memory_);

    const std::vector<VkExtensionProperties> available = extensions_of(physical_);
    std::vector<const char*> extensions;
    if (wishes.surface != VK_NULL_HANDLE) {
        extensions.push_back(VK_KHR_SWAPCHAIN_EXTENSION_NAME);
    }
    const bool exports = has_extension(available, VK_KHR_EXTERNAL_MEMORY_FD_EXTENSION_NAME) &&
                         has_extension(available, VK_KHR_EXTERNAL_SEMAPHORE_FD_EXTENSION_NAME);
    if (exports) {
        extensions.push_back(VK_KHR_EXTERNAL_MEMORY_FD_EXTENSION_NAME);
        extensions.push_back(VK_KHR_EXTERNAL_SEMAPHORE_FD_EXTENSION_NAME);
    }

    const float priority = 1.0f;
    VkDeviceQueueCreateInfo queue{VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO};
    queue.queueFamilyIndex = queue_family_;
    queue.queueCount = 1;
    queue.pQueuePriorities = &priority;
    VkPhysicalDeviceVulkan13Features f13{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES};
    f13.dynamicRendering = VK_TRUE;
    f13.synchronization2 = VK_TRUE;
    VkPhysicalDeviceVulkan12Features f12{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
    f12.timelineSemaphore = VK_TRUE;
    f12.pNext = &f13;
    VkDeviceCreateInfo info{VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO};
    info.pNext = &f12;
    info.queueCreateInfoCount = 1;
    info.pQueueCreateInfos = &queue;
    info.enabledExtensionCount = static_cast<std::uint32_t>(extensions.size());
    info.ppEnabledExtensionNames = extensions.data();
    WANDER_VK(vkCreateDevice(physical_, &info, nullptr, &device_));
    vkGetDeviceQueue(device_, queue_family_, 0, &queue_);
    if (exports) {
        get_memory_fd_ = reinterpret_cast<PFN_vkGetMemoryFdKHR>(vkGetDeviceProcAddr(device_, "vkGetMemoryFdKHR"));
        get_semaphore_fd_ =
            reinterpret_cast<PFN_vkGetSemaphoreFdKHR>(vkGetDeviceProcAddr(device_, "vkGetSemaphoreFdKHR"));
    }
}

Device::~Device() {
    if (device_ != VK_NULL_HANDLE) {
        vkDestroyDevice(device_, nullptr);
    }
}

bool Device::has_memory_type(std::uint32_t type_bits, VkMemoryPropertyFlags flags) const {
    for (std::uint32_t i = 0; i < memory_.memoryTypeCount; ++i) {
        if ((type_bits >> i & 1u) && (memory_.memoryTypes[i].propertyFlags & flags) == flags) {
            return true;
        }
    }
    return false;
}

std::uint32_t Device::memory_type(std::uint32_t type_bits, VkMemoryPropertyFlags flags) const {
    for (std::uint32_t i = 0; i < memory_.memoryTypeCount; ++i) {
        if ((type_bits >> i & 1u) && (memory_.memoryTypes[i].propertyFlags & flags) == flags) {
            return i;
        }
    }
    throw VulkanError(VK_ERROR_FEATURE_NOT_PRESENT, "Vulkan: " + name_ + " has no memory type that fits");
}

int Device::export_memory(VkDeviceMemory memory) const {
    VkMemoryGetFdInfoKHR info{VK_STRUCTURE_TYPE_MEMORY_GET_FD_INFO_KHR};
    info.memory = memory;
    info.handleType = VK_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD_BIT;
    int fd = -1;
    WANDER_VK(get_memory_fd_(device_, &info, &fd));
    return fd;
}

int Device::export_semaphore(VkSemaphore semaphore) const {
    VkSemaphoreGetFdInfoKHR info{VK_STRUCTURE_TYPE_SEMAPHORE_GET_FD_INFO_KHR};
    info.semaphore = semaphore;
    info.handleType = VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD_BIT;
    int fd = -1;
    WANDER_VK(get_semaphore_fd_(device_, &info, &fd));
    return fd;
}

} // namespace wander::render
