#pragma once
// The one way Vulkan calls are checked. Inside this room a failed call throws VulkanError, because nearly every call
// can report a lost device and there is nothing local to do about it; the public classes (Renderer, Window) catch it
// and return a Result.

#include "generator/plain/result.hpp"

#include <vulkan/vulkan.h>

#include <stdexcept>
#include <string>

namespace wander::render {

const char* vk_result_name(VkResult result);

class VulkanError : public std::runtime_error {
public:
    VulkanError(VkResult result, const std::string& message) : std::runtime_error(message), result_(result) {}
    VkResult result() const { return result_; }
    // Message for a person, with what to do where we know it.
    Error error() const;

private:
    VkResult result_;
};

[[noreturn]] void throw_vulkan_error(VkResult result, const char* expression, const char* file, int line);

} // namespace wander::render

#define WANDER_VK(call)                                                                        \
    do {                                                                                       \
        const VkResult wander_vk_result = (call);                                              \
        if (wander_vk_result < 0) {                                                            \
            ::wander::render::throw_vulkan_error(wander_vk_result, #call, __FILE__, __LINE__); \
        }                                                                                      \
    } while (false)
