// The dialogs: a failure of the worker, opening a model folder, about the program.

#include "gui/panels/panels.hpp"
#include "gui/widgets.hpp"

namespace wander::gui {

namespace {

constexpr const char* kFailureTitle = "The walk stopped";
constexpr const char* kModelTitle = "Open a world or a model folder";
constexpr const char* kAboutTitle = "About Wander";

bool begin_dialog(const PanelContext& ui, const char* title, bool* open = nullptr) {
    const ImGuiViewport& viewport = *ImGui::GetMainViewport();
    ImGui::SetNextWindowPos({viewport.Pos.x + viewport.Size.x / 2, viewport.Pos.y + viewport.Size.y * 0.42f},
                            ImGuiCond_Always, {0.5f, 0.5f});
    ImGui::SetNextWindowSize({ui.px(500), 0});
    ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(ui.px(22), ui.px(18)));
    const ImGuiWindowFlags flags = ImGuiWindowFlags_NoTitleBar | ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoResize |
                                   ImGuiWindowFlags_NoSavedSettings;
    const bool shown = ImGui::BeginPopupModal(title, open, flags);
    ImGui::PopStyleVar();
    if (shown) {
        const FontScope bold(ui.fonts.bold, 18);
        text(title);
        ImGui::Dummy({0, ui.px(2)});
    }
    return shown;
}

void paragraph(std::string_view s, ImU32 ink = colour::kDim) {
    ImGui::PushTextWrapPos(0);
    text(s, ink);
    ImGui::PopTextWrapPos();
}

bool button(const PanelContext& ui, const char* label, bool main = false) {
    if (main) {
        ImGui::PushStyleColor(ImGuiCol_Button, colour::kAccentDeep);
        ImGui::PushStyleColor(ImGuiCol_ButtonHovered, IM_COL32(48, 114, 106, 255));
    }
    ImGui::PushStyleVar(ImGuiStyleVar_FramePadding, ImVec2(ui.px(14), ui.px(6)));
    const bool pressed = ImGui::Button(label);
    ImGui::PopStyleVar();
    if (main) {
        ImGui::PopStyleColor(2);
    }
    return pressed;
}

} // namespace

void failure_dialog(const PanelContext& ui, OverlayState& overlay) {
    const std::string& failure = ui.model.failure;
    if (failure.empty()) {
        overlay.dismissed_failure.clear();
    } else if (failure != overlay.dismissed_failure && !ImGui::IsPopupOpen(kFailureTitle)) {
        ImGui::OpenPopup(kFailureTitle);
    }
    if (!begin_dialog(ui, kFailureTitle)) {
        return;
    }
    paragraph(failure, colour::kText);
    ImGui::Dummy({0, ui.px(8)});
    const auto put_away = [&] {
        overlay.dismissed_failure = failure;
        ImGui::CloseCurrentPopup();
    };
    if (failure.empty()) {
        ImGui::CloseCurrentPopup();
    }
    if (button(ui, "Try again", true)) {
        ui.commands.retry_after_failure = true;
        put_away();
    }
    ImGui::SameLine();
    if (button(ui, "Open another model...")) {
        overlay.ask_model_folder = true;
        put_away();
    }
    ImGui::SameLine();
    if (button(ui, "Embedded world")) {
        ui.commands.model_folder = "embedded";
        put_away();
    }
    ImGui::SameLine();
    if (button(ui, "Quit")) {
        ui.commands.quit = true;
    }
    ImGui::EndPopup();
}

void model_dialog(const PanelContext& ui, OverlayState& overlay) {
    if (overlay.ask_model_folder) {
        ImGui::OpenPopup(kModelTitle);
        overlay.ask_model_folder = false;
    }
    if (!begin_dialog(ui, kModelTitle)) {
        return;
    }
    paragraph(
        "A world's folder, as wander train writes it, or the folder with a model's files as they were downloaded "
        "(docs/models.md; they are converted once, beside the originals). It can also be dropped on the window.");
    ImGui::SetNextItemWidth(-1);
    if (ImGui::IsWindowAppearing()) {
        ImGui::SetKeyboardFocusHere();
    }
    const bool entered = ImGui::InputTextWithHint("##folder", "/path/to/model", overlay.model_folder.data(),
                                                  overlay.model_folder.size(), ImGuiInputTextFlags_EnterReturnsTrue);
    ImGui::Dummy({0, ui.px(8)});
    const bool empty = overlay.model_folder[0] == 0;
    ImGui::BeginDisabled(empty);
    const bool pressed = button(ui, "Open", true);
    ImGui::EndDisabled();
    ImGui::SameLine();
    if (button(ui, "Browse...")) {
        ui.commands.browse_models = true;
        ImGui::CloseCurrentPopup();
    }
    if ((pressed || entered) && !empty) {
        ui.commands.model_folder = overlay.model_folder.data();
        ImGui::CloseCurrentPopup();
    }
    ImGui::SameLine();
    if (button(ui, "Cancel") || overlay.escape) {
        ImGui::CloseCurrentPopup();
    }
    ImGui::EndPopup();
}

void about_dialog(const PanelContext& ui, OverlayState& overlay) {
    if (overlay.show_about) {
        ImGui::OpenPopup(kAboutTitle);
        overlay.show_about = false;
    }
    if (!begin_dialog(ui, kAboutTitle)) {
        return;
    }
    const SessionFacts& session = ui.model.session;
    paragraph("Walk through a world that a video model invents while you walk.");
    ImGui::Dummy({0, ui.px(4)});
    fact_row(ui, "Version", WANDER_VERSION);
    fact_row(ui, "Model", session.model);
    fact_row(ui, "Computes on", session.device_name.empty() ? session.device : session.device_name);
    fact_row(ui, "Precision", session.precision);
    fact_row(ui, "Draws on", session.display_device);
    ImGui::Dummy({0, ui.px(8)});
    if (button(ui, "Close", true) || overlay.escape) {
        ImGui::CloseCurrentPopup();
    }
    ImGui::EndPopup();
}

} // namespace wander::gui
