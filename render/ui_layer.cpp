#include "render/ui_layer.hpp"

#include "render/vk/check.hpp"
#include "render/vk/device.hpp"
#include "render/vk/instance.hpp"
#include "render/vk/submitter.hpp"
#include "render/window.hpp"

#include <imgui.h>
#include <imgui_impl_glfw.h>
#include <imgui_impl_vulkan.h>

#include <algorithm>

namespace wander::render {
namespace {

// Font atlas pages plus the pictures of a gallery.
constexpr std::uint32_t kDescriptorCount = 128;

void check(VkResult result) { WANDER_VK(result); }

// Frees a texture's descriptor with the image, once the GPU is done with both.
struct RetiredTexture {
    VkDescriptorSet set;
    std::shared_ptr<Image> image;
    ~RetiredTexture() {
        if (ImGui::GetCurrentContext() && ImGui::GetIO().BackendRendererUserData) {
            ImGui_ImplVulkan_RemoveTexture(set);
        }
    }
};

} // namespace

UiLayer::UiLayer(const Instance& instance, const Device& device, Submitter& submitter, GLFWwindow* window,
                 VkFormat format)
    : submitter_(submitter), window_(window), format_(format) {
    if (!ImGui::GetCurrentContext()) {
        own_context_ = ImGui::CreateContext();
        ImGui::GetIO().IniFilename = nullptr;
    }
    if (window_) {
        ImGui_ImplGlfw_InitForVulkan(window_, true); // chains to the callbacks of Window
    }
    ImGui_ImplVulkan_InitInfo info{};
    info.ApiVersion = VK_API_VERSION_1_3;
    info.Instance = instance.get();
    info.PhysicalDevice = device.physical();
    info.Device = device.get();
    info.QueueFamily = device.queue_family();
    info.Queue = device.queue();
    info.DescriptorPoolSize = kDescriptorCount;
    info.MinImageCount = kFramesInFlight;
    info.ImageCount = kFramesInFlight;
    info.UseDynamicRendering = true;
    info.PipelineInfoMain.PipelineRenderingCreateInfo.sType = VK_STRUCTURE_TYPE_PIPELINE_RENDERING_CREATE_INFO;
    info.PipelineInfoMain.PipelineRenderingCreateInfo.colorAttachmentCount = 1;
    info.PipelineInfoMain.PipelineRenderingCreateInfo.pColorAttachmentFormats = &format_;
    info.CheckVkResultFn = check;
    ImGui_ImplVulkan_Init(&info);
}

UiLayer::~UiLayer() {
    cancel();
    ImGui_ImplVulkan_Shutdown();
    if (window_) {
        ImGui_ImplGlfw_Shutdown();
    }
    if (own_context_) {
        ImGui::DestroyContext(own_context_);
    }
}

void UiLayer::begin(PixelSize size) {
    cancel();
    ImGui_ImplVulkan_NewFrame();
    if (window_) {
        ImGui_ImplGlfw_NewFrame();
    } else {
        ImGuiIO& io = ImGui::GetIO();
        const double now = steady_seconds();
        io.DisplaySize = ImVec2(static_cast<float>(size.width), static_cast<float>(size.height));
        io.DeltaTime = std::clamp(static_cast<float>(now - last_begin_seconds_), 1e-4f, 0.1f);
        last_begin_seconds_ = now;
    }
    ImGui::NewFrame();
    begun_ = true;
}

void UiLayer::cancel() {
    if (begun_) {
        ImGui::EndFrame();
        begun_ = false;
    }
}

void UiLayer::end(VkCommandBuffer commands, const Image& target) {
    begun_ = false;
    ImGui::Render();
    const PixelSize size = target.size();
    VkRenderingAttachmentInfo attachment{VK_STRUCTURE_TYPE_RENDERING_ATTACHMENT_INFO};
    attachment.imageView = target.view();
    attachment.imageLayout = VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL;
    attachment.loadOp = VK_ATTACHMENT_LOAD_OP_LOAD;
    attachment.storeOp = VK_ATTACHMENT_STORE_OP_STORE;
    VkRenderingInfo rendering{VK_STRUCTURE_TYPE_RENDERING_INFO};
    rendering.renderArea = {{0, 0}, {static_cast<std::uint32_t>(size.width), static_cast<std::uint32_t>(size.height)}};
    rendering.layerCount = 1;
    rendering.colorAttachmentCount = 1;
    rendering.pColorAttachments = &attachment;
    vkCmdBeginRendering(commands, &rendering);
    ImGui_ImplVulkan_RenderDrawData(ImGui::GetDrawData(), commands);
    vkCmdEndRendering(commands);
}

float UiLayer::framebuffer_scale() const {
    const float scale = ImGui::GetIO().DisplayFramebufferScale.x;
    return window_ && scale > 0 ? scale : 1.0f;
}

std::uint64_t UiLayer::add_texture(std::shared_ptr<Image> image) {
    const VkDescriptorSet set = ImGui_ImplVulkan_AddTexture(image->view(), VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL);
    const auto id = reinterpret_cast<std::uint64_t>(set);
    textures_[id] = {set, std::move(image)};
    return id;
}

void UiLayer::remove_texture(std::uint64_t id) {
    const auto found = textures_.find(id);
    if (found != textures_.end()) {
        auto retired = std::make_shared<RetiredTexture>();
        retired->set = found->second.set;
        retired->image = std::move(found->second.image);
        submitter_.retire(std::move(retired));
        textures_.erase(found);
    }
}

} // namespace wander::render
