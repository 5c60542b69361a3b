#pragma once
// The Vulkan instance, with validation layers when asked for and present. Must outlive every device made from it.

#include "render/vk/validation_log.hpp"

#include <vulkan/vulkan.h>

#include <memory>
#include <string>
#include <vector>

namespace wander::render {

class Instance {
public:
    // Throws VulkanError. Layers that are asked for but not installed are left out: validation() tells.
    Instance(const std::vector<const char*>& extensions, bool validation);
    Instance(const Instance&) = delete;
    Instance& operator=(const Instance&) = delete;
    ~Instance();

    VkInstance get() const { return instance_; }
    bool validation() const { return messenger_ != VK_NULL_HANDLE; }
    const ValidationLog& log() const { return log_; }

private:
    VkInstance instance_ = VK_NULL_HANDLE;
    VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
    ValidationLog log_;
};

} // namespace wander::render
