#include "render/vk/check.hpp"

#include <cstring>

namespace wander::render {

const char* vk_result_name(VkResult result) {
    switch (result) {
        case VK_ERROR_OUT_OF_HOST_MEMORY: return "out of host memory";
        case VK_ERROR_OUT_OF_DEVICE_MEMORY: return "out of device memory";
        case VK_ERROR_INITIALIZATION_FAILED: return "initialization failed";
        case VK_ERROR_DEVICE_LOST: return "device lost";
        case VK_ERROR_MEMORY_MAP_FAILED: return "memory map failed";
        case VK_ERROR_LAYER_NOT_PRESENT: return "layer not present";
        case VK_ERROR_EXTENSION_NOT_PRESENT: return "extension not present";
        case VK_ERROR_FEATURE_NOT_PRESENT: return "feature not present";
        case VK_ERROR_INCOMPATIBLE_DRIVER: return "incompatible driver";
        case VK_ERROR_TOO_MANY_OBJECTS: return "too many objects";
        case VK_ERROR_FORMAT_NOT_SUPPORTED: return "format not supported";
        case VK_ERROR_SURFACE_LOST_KHR: return "surface lost";
        case VK_ERROR_NATIVE_WINDOW_IN_USE_KHR: return "window in use";
        case VK_ERROR_OUT_OF_DATE_KHR: return "swapchain out of date";
        case VK_ERROR_OUT_OF_POOL_MEMORY: return "out of pool memory";
        case VK_ERROR_INVALID_EXTERNAL_HANDLE: return "invalid external handle";
        default: return "error";
    }
}

void throw_vulkan_error(VkResult result, const char* expression, const char* file, int line) {
    const char* slash = std::strrchr(file, '/');
    throw VulkanError(result, std::string("Vulkan: ") + vk_result_name(result) + " (" +
                                  std::to_string(static_cast<int>(result)) + ") from " + expression + ", " +
                                  (slash ? slash + 1 : file) + ":" + std::to_string(line));
}

Error VulkanError::error() const {
    switch (result_) {
        case VK_ERROR_OUT_OF_HOST_MEMORY:
        case VK_ERROR_OUT_OF_DEVICE_MEMORY:
            return {ErrorCode::out_of_memory,
                    std::string(what()) + "; close other programs that use the GPU, or make the window smaller"};
        case VK_ERROR_DEVICE_LOST:
            return {ErrorCode::unavailable,
                    std::string(what()) + "; the graphics driver gave up: start the program again"};
        case VK_ERROR_INCOMPATIBLE_DRIVER:
            return {
                ErrorCode::unavailable,
                "no Vulkan 1.3 device found: install your graphics card's driver, or the package mesa-vulkan-drivers, "
                "which also brings a software device"};
        case VK_ERROR_SURFACE_LOST_KHR:
            return {ErrorCode::unavailable, std::string(what()) + "; the display went away"};
        default: return {ErrorCode::internal, what()};
    }
}

} // namespace wander::render
