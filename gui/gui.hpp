#pragma once
// The panels: owns the contexts of Dear ImGui and ImPlot, fonts, theme, docking layout and key handling.
//
// Main thread only. Order of lives: Gui::create, then Renderer::attach_ui (it connects the context made here), ...,
// then Renderer::detach_ui, then ~Gui. A frame of the app:
//
//     for (const auto& event : window.poll(wait)) gui.handle(event);
//     if (renderer.begin_ui()) {
//         const gui::UiFrame ui = gui.frame(model);
//         ... execute ui.commands, hand on ui.controls ...
//     }
//     renderer.draw({.picture_area = ui.world});
//
// Gui reads and writes no file but the fonts; layout and preferences are handed out for the app to keep.

#include "generator/plain/result.hpp"
#include "gui/plain/ui_model.hpp"
#include "render/plain/window_events.hpp"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace wander::gui {

struct GuiConfig {
    std::filesystem::path fonts; // folder with the fonts (assets/fonts); without it a plain built-in one is used
    std::string layout;          // what take_changed_layout gave in an earlier run; empty: the first-run layout
    UiPreferences preferences;
    float content_scale = 1; // Window::content_scale
};

class Gui {
public:
    static Result<Gui> create(const GuiConfig& config);
    Gui(Gui&&) noexcept;
    Gui& operator=(Gui&&) noexcept;
    ~Gui();

    // Keys, mouse buttons, mouse travel, focus, scale; other events are ignored. Any number between two frames.
    void handle(const render::WindowEvent& event);
    // The pad as it is now, again and again while one is connected, and once when it has gone. True: a frame is due.
    bool pad(const render::GamepadState& pad, double at_seconds);
    // Builds one frame. Between ImGui::NewFrame and ImGui::Render, which the renderer calls.
    UiFrame frame(const UiModel& model);

    // A line at the edge of the world that goes away by itself ("Saved ...").
    void toast(ToastKind kind, std::string text);

    const UiPreferences& preferences() const;
    // The layout when it changed since the last call (at most every few seconds); `now`: the current one in any case,
    // for exit.
    std::optional<std::string> take_changed_layout(bool now = false);

private:
    struct State;
    explicit Gui(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

} // namespace wander::gui
