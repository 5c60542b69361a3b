#pragma once
// Dear ImGui's back ends for our device, and for the window where there is one. Contents of fonts and theme belong to
// gui.
//
// Draws into the composed image with dynamic rendering. The composed image is UNORM and ImGui's colours are
// sRGB-encoded, so they pass unchanged. Made on the current ImGui context (made and owned here when there is none). The
// GPU must be idle when destroyed.

#include "render/plain/pixels.hpp"
#include "render/vk/image.hpp"

#include <vulkan/vulkan.h>

#include <cstdint>
#include <map>
#include <memory>

struct GLFWwindow;
struct ImGuiContext;

namespace wander::render {

class Device;
class Instance;
class Submitter;

class UiLayer {
public:
    // Throws VulkanError. `window` may be null: off-screen.
    UiLayer(const Instance& instance, const Device& device, Submitter& submitter, GLFWwindow* window, VkFormat format);
    UiLayer(const UiLayer&) = delete;
    UiLayer& operator=(const UiLayer&) = delete;
    ~UiLayer();

    // `size`: of the composed image, which off-screen is the display size, too.
    void begin(PixelSize size);
    bool begun() const { return begun_; }
    // Ends the ImGui frame and draws it over `target`, which must be in use as attachment.
    void end(VkCommandBuffer commands, const Image& target);
    // Ends the ImGui frame without drawing it.
    void cancel();

    // Pixels of the framebuffer per unit of ImGui.
    float framebuffer_scale() const;

    std::uint64_t add_texture(std::shared_ptr<Image> image);
    void remove_texture(std::uint64_t id);

private:
    Submitter& submitter_;
    GLFWwindow* window_;
    ImGuiContext* own_context_ = nullptr;
    VkFormat format_;
    struct Texture {
        VkDescriptorSet set;
        std::shared_ptr<Image> image;
    };
    std::map<std::uint64_t, Texture> textures_;
    double last_begin_seconds_ = 0;
    bool begun_ = false;
};

} // namespace wander::render
