#pragma once
// Inside of Renderer, shared by its three source files: renderer.cpp (making, drawing), renderer_frames.cpp (frames of
// the walk), renderer_read.cpp (reading back). Members are destroyed bottom up, after the GPU has gone idle.

#include "render/picture/upscaler.hpp"
#include "render/plain/frame_pacer.hpp"
#include "render/renderer.hpp"
#include "render/ring/gpu_ring.hpp"
#include "render/swapchain.hpp"
#include "render/ui_layer.hpp"
#include "render/vk/buffer.hpp"
#include "render/vk/check.hpp"
#include "render/vk/device.hpp"
#include "render/vk/image.hpp"
#include "render/vk/instance.hpp"
#include "render/vk/submitter.hpp"
#include "render/window.hpp"

#include <deque>
#include <memory>
#include <utility>

namespace wander::render {

// A surface belongs to the instance, not to the device.
class Surface {
public:
    Surface(const Instance& instance, VkSurfaceKHR surface) : instance_(instance), surface_(surface) {}
    Surface(const Surface&) = delete;
    Surface& operator=(const Surface&) = delete;
    ~Surface() { vkDestroySurfaceKHR(instance_.get(), surface_, nullptr); }
    VkSurfaceKHR get() const { return surface_; }

private:
    const Instance& instance_;
    VkSurfaceKHR surface_;
};

struct Renderer::State {
    Window* window = nullptr;
    PixelSize wanted_size; // off-screen
    std::string notes;

    std::unique_ptr<Instance> instance;
    std::unique_ptr<Surface> surface;
    std::unique_ptr<Device> device;
    std::unique_ptr<Submitter> submitter;
    std::unique_ptr<Swapchain> swapchain;
    VkFormat composed_format = VK_FORMAT_R8G8B8A8_UNORM;
    Image composed;
    bool composed_drawn = false;
    PixelRect picture_rect;
    std::unique_ptr<Upscaler> upscaler;

    std::shared_ptr<GpuRing> ring;
    FramePacer pacer;
    std::deque<FrameTicket> arriving;  // published, bytes not complete yet
    std::optional<FrameTicket> upload; // shown next, its slot is still to be copied
    struct Held {
        std::uint64_t until; // submission that reads the slot
        FrameTicket ticket;
    };
    std::deque<Held> held;
    std::optional<FrameTicket> shown;
    std::int64_t skipped = 0;
    FrameTap tap;

    Buffer read_back;
    std::unique_ptr<UiLayer> ui;

    ~State();

    void create(const RendererConfig& config);
    // Fits swapchain and composed image to the window; false while there is nothing to draw on.
    bool fit_target();
    DrawOutcome draw(const DrawRequest& request);
    void record_picture(VkCommandBuffer commands, const DrawRequest& request);
    void record_present_copy(VkCommandBuffer commands, VkImage image);

    bool advance(double now_seconds);
    // Copies the waiting frame into the picture; what the submission must wait for is added to `sync`.
    void record_upload(VkCommandBuffer commands, SubmitSync& sync);
    void note_submitted(std::uint64_t value);
    void release_finished();
    void drop_frames();
    void call_tap(const FramePacer::Timed& frame);
    void set_ring(std::shared_ptr<GpuRing> next);
    void show_picture(PixelView picture);

    Pixels read_image(Image& image, ImageUse use_after);
    void read_into(VkCommandBuffer commands, std::size_t bytes, const SubmitSync& sync);
    std::uint64_t add_texture(PixelView picture);

private:
    std::optional<FrameTicket> in_recording_; // whose slot the open command buffer reads
};

// Runs `work`, turning a failed Vulkan call into a Result.
template <typename Work>
auto guarded(Work work) -> Result<decltype(work())> {
    try {
        if constexpr (std::is_void_v<decltype(work())>) {
            work();
            return {};
        } else {
            return work();
        }
    } catch (const VulkanError& error) {
        return error.error();
    }
}

} // namespace wander::render
