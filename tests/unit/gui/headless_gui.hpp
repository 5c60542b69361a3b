#pragma once
// The panels without a renderer: an ImGui context whose textures are taken without drawing them, frames, mouse and
// keys.

#include "gui/gui.hpp"

#include <gtest/gtest.h>
#include <imgui.h>
#include <imgui_internal.h>

#include <string>
#include <utility>

namespace wander::gui::test {

using render::Key;

inline constexpr float kWidth = 1280;
inline constexpr float kHeight = 720;

inline Gui make_gui(std::string layout = {}, float scale = 1, const char* fonts = WANDER_SOURCE_DIR "/assets/fonts") {
    GuiConfig config;
    config.fonts = fonts;
    config.layout = std::move(layout);
    config.content_scale = scale;
    auto made = Gui::create(config);
    EXPECT_TRUE(made);
    ImGuiIO& io = ImGui::GetIO();
    io.BackendFlags |= ImGuiBackendFlags_RendererHasTextures;
    io.DisplaySize = {kWidth, kHeight};
    io.DeltaTime = 1.0f / 60;
    return std::move(*made);
}

// What a renderer does with texture requests, without the renderer.
inline void accept_textures() {
    for (ImTextureData* texture : ImGui::GetPlatformIO().Textures) {
        if (texture->Status == ImTextureStatus_WantCreate || texture->Status == ImTextureStatus_WantUpdates) {
            texture->SetTexID(1);
            texture->SetStatus(ImTextureStatus_OK);
        } else if (texture->Status == ImTextureStatus_WantDestroy) {
            texture->SetTexID(ImTextureID_Invalid);
            texture->SetStatus(ImTextureStatus_Destroyed);
        }
    }
}

inline UiFrame one_frame(Gui& gui, const UiModel& model) {
    ImGui::NewFrame();
    UiFrame frame = gui.frame(model);
    ImGui::Render();
    accept_textures();
    return frame;
}

inline UiFrame frames(Gui& gui, const UiModel& model, int count) {
    UiFrame frame;
    for (int i = 0; i < count; ++i) {
        frame = one_frame(gui, model);
    }
    return frame;
}

// Commands of all frames of a click.
inline UiFrame click(Gui& gui, const UiModel& model, ImVec2 at) {
    ImGuiIO& io = ImGui::GetIO();
    io.AddMousePosEvent(at.x, at.y);
    frames(gui, model, 2);
    io.AddMouseButtonEvent(0, true);
    UiFrame pressed = one_frame(gui, model);
    io.AddMouseButtonEvent(0, false);
    UiFrame released = one_frame(gui, model);
    const UiCommands& asked = released.commands;
    const bool on_release = asked.start || asked.toggle_record || asked.format || asked.context_latents ||
                            asked.fast_context || asked.decoder;
    return on_release ? released : pressed;
}

inline void press(Gui& gui, Key key, bool down = true, bool control = false) {
    render::KeyEvent event;
    event.key = key;
    event.down = down;
    event.control = control;
    event.at_seconds = 1;
    gui.handle(event);
}

inline ImVec2 centre_of(const char* window) {
    const ImGuiWindow* w = ImGui::FindWindowByName(window);
    return w ? ImVec2(w->Pos.x + w->Size.x / 2, w->Pos.y + w->Size.y / 2) : ImVec2(-1, -1);
}

inline bool is_drawn(const char* window) {
    const ImGuiWindow* w = ImGui::FindWindowByName(window);
    return w && w->Active && !w->Hidden;
}

inline ImVec2 in_panel(const char* panel, float x, float y) {
    const ImGuiWindow* w = ImGui::FindWindowByName(panel);
    EXPECT_NE(w, nullptr);
    return w ? ImVec2(w->InnerRect.Min.x + x, w->InnerRect.Min.y + y) : ImVec2();
}

// The lines of the open drop-down, top to bottom, of its window.
inline ImVec2 line_of(const ImGuiWindow& list, int line, int lines) {
    const float top = list.Pos.y + list.WindowPadding.y;
    const float height = (list.Size.y - 2 * list.WindowPadding.y) / static_cast<float>(lines);
    return {list.Pos.x + 40, top + height * (static_cast<float>(line) + 0.5f)};
}

inline const ImGuiWindow* open_combo() {
    for (const ImGuiWindow* window : ImGui::GetCurrentContext()->Windows) {
        if (std::string(window->Name).starts_with("##Combo") && window->Active) return window;
    }
    return nullptr;
}

} // namespace wander::gui::test
