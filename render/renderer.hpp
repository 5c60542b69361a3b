#pragma once
// Everything that is drawn: the walk's picture, the panels over it, and their way to the window or to an off-screen
// image.
//
// One thread (the one that owns the window). The picture and the panels are composed into an image of our own; the
// window only receives a copy, and screenshots, the recorder and tests read that image. No Vulkan type appears here. A
// loop looks like this:
//
//     renderer.advance(steady_seconds());      // frames whose time has come
//     if (renderer.begin_ui()) { build panels with ImGui:: calls; }
//     renderer.draw({.picture_area = area});
//
// Failures come back as Result; after `device lost` the renderer must be created anew.

#include "generator/plain/result.hpp"
#include "render/frame_ring.hpp"
#include "render/plain/draw_request.hpp"
#include "render/plain/pixels.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace wander::render {

class Window;

struct RendererConfig {
    Window* window = nullptr;     // null: off-screen, of `size`
    PixelSize size = {1280, 720}; // off-screen only
    std::optional<std::array<std::uint8_t, 16>>
        device_uuid;         // must be this device (the one CUDA uses); falls back with a note
    bool validation = false; // also on with WANDER_VALIDATION=1 in the environment
    // Threads of a software renderer; 0 = its own choice. The model needs the cores more than the picture does.
    int software_threads = 0;
    // Filtered scaling works at most at this multiple of the picture and is stretched bilinearly from there; 0 = no
    // limit, -1 = 3 on a software renderer (which shares the cores with the model), no limit elsewhere.
    int upscale_limit = -1;
};

enum class DrawOutcome : std::uint8_t {
    presented,
    composed,  // off-screen, or the window took no image in time; the composed image is up to date
    minimised, // nothing was drawn
};

class Renderer {
public:
    static Result<Renderer> create(const RendererConfig& config);
    Renderer(Renderer&&) noexcept;
    Renderer& operator=(Renderer&&) noexcept;
    ~Renderer();

    const std::string& device_name() const;
    std::array<std::uint8_t, 16> device_uuid() const;
    bool software_device() const;
    std::string notes() const; // fallbacks taken, one a line, for the log

    // ---- frames of the walk
    // A ring for frames of this size; the previous one is closed. `want_cuda`: the producer can write CUDA memory on
    // the device with cuda_device_uuid() (cuda_interop.hpp); shared memory is used when that is this renderer's device,
    // else host memory.
    Result<std::shared_ptr<FrameRing>> make_ring(PixelSize frame_size, int slots, bool want_cuda);
    std::shared_ptr<FrameRing> ring() const;
    // Takes what the ring has, plans presentation times, uploads the newest frame that is due; true when the picture
    // changed.
    Result<bool> advance(double now_seconds);
    std::optional<double> next_due_seconds() const;  // when advance has something to do; nullopt: unknown
    const std::optional<FrameTicket>& shown() const; // the frame on screen
    std::int64_t skipped_frames() const;             // due, but overtaken before they could be shown
    double chunk_period_seconds() const;             // the pacer's estimate
    void interrupt_pacing();                         // paused, stepped, or a new walk: see FramePacer
    void clear_frames();                             // drops all frames that wait
    // Called by advance for every frame in order, skipped ones too, with the time it was planned for; the pixels live
    // during the call.
    using FrameTap = std::function<void(const FrameTicket&, const PixelView&, double planned_seconds)>;
    void set_frame_tap(FrameTap tap);
    // Shows a picture that comes from no ring (a start picture).
    Result<void> show_picture(PixelView picture);

    // ---- drawing
    // Connects the current ImGui context (made when there is none) to the window and the device.
    Result<void> attach_ui();
    void detach_ui();
    // ImGui's NewFrame; false when no UI is attached or the window is minimised. draw() ends it.
    bool begin_ui();
    Result<DrawOutcome> draw(const DrawRequest& request);
    void resize(PixelSize size); // off-screen only; a window's size is followed by itself
    PixelSize composed_size() const;
    PixelRect picture_rect() const; // where the last draw put the picture, framebuffer pixels

    // Small pictures for panels (a gallery): the number to give to ImGui::Image as ImTextureID.
    Result<std::uint64_t> add_ui_texture(PixelView picture);
    void remove_ui_texture(std::uint64_t id);

    // ---- reading back; waits for the GPU, for screenshots and recordings
    Result<Pixels> read_composed(); // picture and panels
    Result<Pixels> read_picture();  // the frame on screen as decoded

    // Validation messages so far (0 when validation is off) and the first of them.
    int validation_message_count() const;
    std::string first_validation_message() const;

private:
    struct State;
    explicit Renderer(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

} // namespace wander::render
