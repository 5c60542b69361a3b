#pragma once
// The operating system's window: X11 or Wayland, sizes, scale, keys, mouse, dropped files, gamepad, as plain events.
//
// Main thread only, one window a program. Create the window, give it to Renderer::create, destroy the renderer first.

#include "generator/plain/result.hpp"
#include "render/plain/pixels.hpp"
#include "render/plain/window_events.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

struct GLFWwindow;

namespace wander::render {

// Where the window lies on the desktop, to be remembered between runs. The size is that on a plain monitor: on a HiDPI
// one the window is opened larger, by its content scale.
struct WindowPlacement {
    int width = 1280;
    int height = 720;
    std::optional<int> x = std::nullopt; // nullopt: where the desktop puts it (Wayland never tells)
    std::optional<int> y = std::nullopt;
    bool maximised = false;
};

class Window {
public:
    // Fails with `unavailable` where there is no display.
    static Result<Window> create(const std::string& title, const WindowPlacement& placement);
    Window(Window&&) noexcept;
    Window& operator=(Window&&) noexcept;
    ~Window();

    // Handles what the desktop has sent and returns it in order; waits up to `wait_seconds` when nothing is there.
    std::vector<WindowEvent> poll(double wait_seconds);
    // Ends a waiting poll; any thread.
    static void wake();

    PixelSize framebuffer_size() const; // 0 x 0 while minimised
    float content_scale() const;        // 1 on plain monitors, 2 on HiDPI ones
    bool minimised() const;
    bool focused() const;
    WindowPlacement placement() const;
    GamepadState gamepad() const;

    void set_title(const std::string& title);
    void set_fullscreen(bool fullscreen);
    // Hides the cursor and reports unlimited travel, for looking around with the mouse.
    void capture_cursor(bool capture);
    void request_close();

    GLFWwindow* handle() const; // for the rest of this room only

private:
    struct State;
    explicit Window(std::unique_ptr<State> state);
    WindowPlacement current_placement() const; // window units, full screen or not
    float unit_scale() const;
    std::unique_ptr<State> state_;
};

// Seconds of the steady clock that stamps events and paces frames.
double steady_seconds();

} // namespace wander::render
