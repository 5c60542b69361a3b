#include "gui/key_map.hpp"
#include "gui/pad_map.hpp"
#include "gui/panels/panels.hpp"
#include "gui/widgets.hpp"

#include <algorithm>

namespace wander::gui {

namespace {

float cap_width(const PanelContext& ui, std::string_view label) {
    return std::max(ui.px(24), text_size(ui.fonts.bold, ui.px(kSmallSize), label).x + ui.px(14));
}

ImGuiDir arrow_of(render::Key key) {
    switch (key) {
        case render::Key::left: return ImGuiDir_Left;
        case render::Key::right: return ImGuiDir_Right;
        case render::Key::up: return ImGuiDir_Up;
        case render::Key::down: return ImGuiDir_Down;
        default: return ImGuiDir_None;
    }
}

// Draws a cap in the line and moves on; returns the x behind it.
float cap(const PanelContext& ui, ImVec2 at, std::string_view label, ImGuiDir arrow) {
    const float width = arrow == ImGuiDir_None ? cap_width(ui, label) : ui.px(24);
    keycap(*ImGui::GetWindowDrawList(), ui, at, {width, ui.px(24)}, label, arrow, false);
    return at.x + width + ui.px(4);
}

void help_line(const PanelContext& ui, float text_x, std::string_view help) {
    const ImVec2 at = ImGui::GetCursorScreenPos();
    draw_text(*ImGui::GetWindowDrawList(), ui.fonts.text, ui.px(kTextSize), {text_x, at.y + ui.px(4)}, colour::kDim,
              help);
    ImGui::Dummy({0, ui.px(24)});
}

void group(const PanelContext& ui, KeyGroup group, float column_width) {
    const FontScope small(ui.fonts.bold, kSmallSize);
    text(group_name(group), colour::kAccent);
    const auto bindings = key_bindings();
    const float left = ImGui::GetCursorScreenPos().x;
    const float text_x = left + column_width * 0.36f;
    for (std::size_t i = 0; i < bindings.size(); ++i) {
        if (bindings[i].group != group) {
            continue;
        }
        ImVec2 at = ImGui::GetCursorScreenPos();
        if (bindings[i].control) {
            at.x = cap(ui, at, "Ctrl", ImGuiDir_None);
        }
        at.x = cap(ui, at, key_name(bindings[i].key), arrow_of(bindings[i].key));
        while (i + 1 < bindings.size() && bindings[i + 1].help == bindings[i].help) {
            ++i;
            at.x = cap(ui, at, key_name(bindings[i].key), arrow_of(bindings[i].key));
        }
        help_line(ui, text_x, bindings[i].help);
    }
    if (group == KeyGroup::look) {
        cap(ui, ImGui::GetCursorScreenPos(), "Right mouse", ImGuiDir_None);
        help_line(ui, text_x, kMouseLookHelp);
    }
    ImGui::Dummy({0, ui.px(6)});
}

void pad_group(const PanelContext& ui, float column_width) {
    const FontScope small(ui.fonts.bold, kSmallSize);
    text("Pad", colour::kAccent);
    const float text_x = ImGui::GetCursorScreenPos().x + column_width * 0.36f;
    cap(ui, ImGui::GetCursorScreenPos(), "Sticks", ImGuiDir_None);
    help_line(ui, text_x, kPadSticksHelp);
    for (const PadBinding& binding : pad_bindings()) {
        cap(ui, ImGui::GetCursorScreenPos(), binding.name, ImGuiDir_None);
        help_line(ui, text_x, binding.help);
    }
}

} // namespace

void key_overlay(const PanelContext& ui, bool& open) {
    if (!open) {
        return;
    }
    const ImGuiViewport& viewport = *ImGui::GetMainViewport();
    const ImVec2 size = {std::min(ui.px(940), viewport.Size.x - ui.px(40)),
                         std::min(ui.px(566), viewport.Size.y - ui.px(40))};
    // A dim sheet over everything; a click on it closes.
    ImGui::SetNextWindowPos(viewport.Pos);
    ImGui::SetNextWindowSize(viewport.Size);
    ImGui::PushStyleColor(ImGuiCol_WindowBg, IM_COL32(8, 9, 11, 175));
    ImGui::PushStyleVar(ImGuiStyleVar_WindowRounding, 0);
    ImGui::Begin("##key sheet", nullptr,
                 ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoSavedSettings |
                     ImGuiWindowFlags_NoDocking);
    ImGui::PopStyleVar();
    ImGui::PopStyleColor();
    ImGui::SetCursorPos({(viewport.Size.x - size.x) / 2, (viewport.Size.y - size.y) / 2});
    ImGui::PushStyleColor(ImGuiCol_ChildBg, IM_COL32(24, 26, 30, 255));
    ImGui::PushStyleVar(ImGuiStyleVar_ChildRounding, ui.px(10));
    ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(ui.px(28), ui.px(22)));
    ImGui::BeginChild("keys", size, ImGuiChildFlags_AlwaysUseWindowPadding);
    ImGui::PopStyleVar(2);
    ImGui::PopStyleColor();
    {
        const FontScope title(ui.fonts.bold, 20);
        text("Keys");
    }
    ImGui::SameLine();
    const float right = ImGui::GetWindowContentRegionMax().x;
    text_right("Esc closes", right, colour::kFaint);
    ImGui::Dummy({0, ui.px(8)});
    const float column = (ImGui::GetContentRegionAvail().x - 2 * ui.px(8)) / 3;
    ImGui::BeginGroup();
    group(ui, KeyGroup::move, column);
    group(ui, KeyGroup::look, column);
    ImGui::EndGroup();
    ImGui::SameLine(ui.px(28) + column + ui.px(8));
    ImGui::BeginGroup();
    group(ui, KeyGroup::walk, column);
    group(ui, KeyGroup::capture, column);
    group(ui, KeyGroup::window, column);
    ImGui::EndGroup();
    ImGui::SameLine(ui.px(28) + 2 * (column + ui.px(8)));
    ImGui::BeginGroup();
    pad_group(ui, column);
    ImGui::EndGroup();
    const bool inside = ImGui::IsWindowHovered(ImGuiHoveredFlags_ChildWindows);
    ImGui::EndChild();
    if (ImGui::IsMouseClicked(ImGuiMouseButton_Left) && !inside && !ImGui::IsWindowAppearing()) {
        open = false;
    }
    ImGui::End();
}

} // namespace wander::gui
