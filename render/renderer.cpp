#include "render/renderer.hpp"

#include "render/renderer_state.hpp"

#include <GLFW/glfw3.h>

#include <cstdlib>
#include <string>

namespace wander::render {
namespace {

constexpr int kSoftwareUpscaleLimit = 3;

bool validation_wanted(const RendererConfig& config) {
    const char* value = std::getenv("WANDER_VALIDATION");
    return config.validation || (value && value[0] != '\0' && value[0] != '0');
}

} // namespace

void Renderer::State::create(const RendererConfig& config) {
    window = config.window;
    wanted_size = config.size;
    if (config.software_threads > 0) {
        // Read by Mesa when it makes the device; what the person has set counts more.
        setenv("LP_NUM_THREADS", std::to_string(config.software_threads).c_str(), 0);
    }
    std::vector<const char*> extensions;
    if (window) {
        std::uint32_t count = 0;
        const char** names = glfwGetRequiredInstanceExtensions(&count);
        extensions.assign(names, names + count);
    }
    const bool validation = validation_wanted(config);
    instance = std::make_unique<Instance>(extensions, validation);
    if (validation && !instance->validation()) {
        notes += "Vulkan validation was asked for, but its layer is not installed (package vulkan-validationlayers)\n";
    }
    DeviceWishes wishes;
    wishes.uuid = config.device_uuid;
    if (window) {
        VkSurfaceKHR raw = VK_NULL_HANDLE;
        WANDER_VK(glfwCreateWindowSurface(instance->get(), window->handle(), nullptr, &raw));
        surface = std::make_unique<Surface>(*instance, raw);
        wishes.surface = raw;
    }
    device = std::make_unique<Device>(*instance, wishes);
    if (config.device_uuid && device->uuid() != *config.device_uuid) {
        notes += "The CUDA device cannot draw here; drawing on " + device->name() + "\n";
    }
    submitter = std::make_unique<Submitter>(*device);
    if (window) {
        swapchain = std::make_unique<Swapchain>(*device, surface->get());
        composed_format = swapchain->format();
    }
    const int limit = config.upscale_limit >= 0 ? config.upscale_limit : device->software() ? kSoftwareUpscaleLimit : 0;
    upscaler = std::make_unique<Upscaler>(*device, *submitter, composed_format, limit);
    fit_target();
}

Renderer::State::~State() {
    if (ring) {
        ring->close();
    }
    if (device) {
        vkDeviceWaitIdle(device->get());
    }
}

bool Renderer::State::fit_target() {
    PixelSize size = wanted_size;
    if (window) {
        const PixelSize framebuffer = window->framebuffer_size();
        if (framebuffer.empty()) {
            return false;
        }
        if (!swapchain->valid() || swapchain->size() != framebuffer) {
            submitter->wait(submitter->last_submitted());
            WANDER_VK(vkQueueWaitIdle(device->queue())); // presentations hold the old images
            if (!swapchain->rebuild(framebuffer)) {
                return false;
            }
        }
        size = swapchain->size();
    }
    if (size.empty()) {
        return false;
    }
    if (!composed || composed.size() != size) {
        if (composed) {
            submitter->retire(std::make_shared<Image>(std::move(composed)));
        }
        composed = Image(
            *device, size, composed_format,
            VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT | VK_IMAGE_USAGE_TRANSFER_SRC_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT);
        composed_drawn = false;
    }
    return true;
}

void Renderer::State::record_picture(VkCommandBuffer commands, const DrawRequest& request) {
    const PixelSize size = composed.size();
    picture_rect = {};
    if (upscaler->has_picture()) {
        Rect area{0, 0, static_cast<float>(size.width), static_cast<float>(size.height)};
        if (request.picture_area.width > 0 && request.picture_area.height > 0) {
            const float scale = ui ? ui->framebuffer_scale() : 1;
            area = {request.picture_area.x * scale, request.picture_area.y * scale, request.picture_area.width * scale,
                    request.picture_area.height * scale};
        }
        picture_rect = letterbox(area, upscaler->source_size(), size);
        if (!picture_rect.size.empty()) {
            upscaler->record_scale(commands, picture_rect.size, request.upscale);
        }
    }
    composed.change_use(commands, ImageUse::transfer_to, true);
    const PixelRect& rect = picture_rect;
    if (rect.size != size) {
        const VkClearColorValue clear{{request.background[0], request.background[1], request.background[2], 1.0f}};
        const VkImageSubresourceRange range{VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1};
        vkCmdClearColorImage(commands, composed.get(), VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, &clear, 1, &range);
        composed.change_use(commands, ImageUse::transfer_to); // the copy must come after the clear
    }
    if (rect.size.empty()) {
        return;
    }
    VkImageCopy copy{};
    copy.srcSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1};
    copy.dstSubresource = copy.srcSubresource;
    copy.dstOffset = {rect.x, rect.y, 0};
    copy.extent = {static_cast<std::uint32_t>(rect.size.width), static_cast<std::uint32_t>(rect.size.height), 1};
    vkCmdCopyImage(commands, upscaler->scaled().get(), VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, composed.get(),
                   VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, 1, &copy);
}

void Renderer::State::record_present_copy(VkCommandBuffer commands, VkImage image) {
    record_image_barrier(commands, image, ImageUse::undefined, ImageUse::transfer_to, true);
    VkImageCopy copy{};
    copy.srcSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1};
    copy.dstSubresource = copy.srcSubresource;
    copy.extent = {static_cast<std::uint32_t>(composed.size().width),
                   static_cast<std::uint32_t>(composed.size().height), 1};
    vkCmdCopyImage(commands, composed.get(), VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, image,
                   VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, 1, &copy);
    record_image_barrier(commands, image, ImageUse::transfer_to, ImageUse::present, false);
}

DrawOutcome Renderer::State::draw(const DrawRequest& request) {
    if (!fit_target()) {
        if (ui) {
            ui->cancel();
        }
        return DrawOutcome::minimised;
    }
    const VkCommandBuffer commands = submitter->begin();
    SubmitSync sync;
    record_upload(commands, sync);
    record_picture(commands, request);
    if (ui && ui->begun()) {
        composed.change_use(commands, ImageUse::attachment);
        ui->end(commands, composed);
    }
    composed.change_use(commands, ImageUse::transfer_from);
    std::optional<Swapchain::Target> target;
    if (swapchain) {
        target = swapchain->acquire(submitter->slot());
    }
    if (target) {
        record_present_copy(commands, target->image);
        sync.wait = target->acquired;
        sync.signal = target->written;
    }
    note_submitted(submitter->submit(sync));
    composed_drawn = true;
    if (!target) {
        return DrawOutcome::composed;
    }
    swapchain->present(*target);
    return DrawOutcome::presented;
}

Result<Renderer> Renderer::create(const RendererConfig& config) {
    auto state = std::make_unique<State>();
    if (const Result<void> done = guarded([&] { state->create(config); }); !done) {
        Error error = done.error();
        if (!state->device) {
            error.code = ErrorCode::unavailable; // no loader, no driver, no device that fits: the machine, not us
        }
        return error;
    }
    return Renderer(std::move(state));
}

Renderer::Renderer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Renderer::Renderer(Renderer&&) noexcept = default;
Renderer& Renderer::operator=(Renderer&&) noexcept = default;
Renderer::~Renderer() = default;

const std::string& Renderer::device_name() const { return state_->device->name(); }
std::array<std::uint8_t, 16> Renderer::device_uuid() const { return state_->device->uuid(); }
bool Renderer::software_device() const { return state_->device->software(); }
std::string Renderer::notes() const { return state_->notes; }

Result<void> Renderer::attach_ui() {
    return guarded([&] {
        GLFWwindow* window = state_->window ? state_->window->handle() : nullptr;
        state_->ui = std::make_unique<UiLayer>(*state_->instance, *state_->device, *state_->submitter, window,
                                               state_->composed_format);
    });
}

void Renderer::detach_ui() {
    if (state_->ui) {
        vkDeviceWaitIdle(state_->device->get());
        state_->ui.reset();
    }
}

bool Renderer::begin_ui() {
    if (!state_->ui) {
        return false;
    }
    // A failure here shows again in draw(), which can report it.
    const Result<bool> fits = guarded([&] { return state_->fit_target(); });
    if (!fits || !*fits) {
        return false;
    }
    state_->ui->begin(state_->composed.size());
    return true;
}

Result<DrawOutcome> Renderer::draw(const DrawRequest& request) {
    return guarded([&] { return state_->draw(request); });
}

void Renderer::resize(PixelSize size) { state_->wanted_size = size; }
PixelSize Renderer::composed_size() const { return state_->composed.size(); }
PixelRect Renderer::picture_rect() const { return state_->picture_rect; }

int Renderer::validation_message_count() const { return state_->instance->log().count(); }
std::string Renderer::first_validation_message() const { return state_->instance->log().first(); }

} // namespace wander::render
