#include "gui/layout.hpp"
#include "gui/panels/panels.hpp"
#include "gui/plain/figures.hpp"
#include "gui/widgets.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace wander::gui {

namespace {

// "village_fountain" is shown as "fountain" below "village".
std::string_view short_name(const StartTile& tile) {
    std::string_view name = tile.name;
    if (name.starts_with(tile.place) && name.size() > tile.place.size() + 1) {
        name.remove_prefix(tile.place.size() + 1);
    }
    return name;
}

void tile_picture(const PanelContext& ui, const StartTile& tile, ImVec2 size) {
    const bool current = tile.name == ui.model.start;
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const ImVec2 end = {at.x + size.x, at.y + size.y};
    ImGui::PushID(tile.name.c_str());
    if (ImGui::InvisibleButton("tile", size)) {
        ui.commands.start = tile.name;
    }
    const bool hovered = ImGui::IsItemHovered();
    if (hovered) {
        ImGui::SetTooltip("%s\nStart a new walk here", tile.name.c_str());
    }
    ImGui::PopID();
    ImDrawList& list = *ImGui::GetWindowDrawList();
    const float rounding = ui.px(4);
    if (tile.texture) {
        const ImU32 tint = current || hovered ? IM_COL32_WHITE : IM_COL32(190, 190, 190, 255);
        list.AddImageRounded(ImTextureRef(static_cast<ImTextureID>(tile.texture)), at, end, {0, 0}, {1, 1}, tint,
                             rounding);
    } else {
        list.AddRectFilled(at, end, colour::kWell, rounding);
    }
    const float font_size = ui.px(kSmallSize - 1);
    const float strip = font_size + ui.px(4);
    list.AddRectFilled({at.x, end.y - strip}, end, IM_COL32(10, 11, 13, 150), rounding, ImDrawFlags_RoundCornersBottom);
    list.PushClipRect(at, end, true);
    draw_text(list, ui.fonts.text, font_size, {at.x + ui.px(5), end.y - strip + ui.px(1.5f)},
              current ? colour::kAccent : colour::kText, short_name(tile));
    list.PopClipRect();
    if (current || hovered) {
        list.AddRect(at, end, current ? colour::kAccent : colour::kDim, rounding, ui.px(current ? 2.0f : 1.0f));
    }
}

// One column a place, its start points below each other.
void gallery(const PanelContext& ui) {
    const auto& starts = ui.model.session.starts;
    std::vector<std::string_view> places;
    for (const StartTile& tile : starts) {
        if (std::ranges::find(places, tile.place) == places.end()) {
            places.push_back(tile.place);
        }
    }
    if (places.empty()) {
        return;
    }
    const float gap = ui.px(8);
    const auto columns = static_cast<float>(places.size());
    const float width = std::floor((ImGui::GetContentRegionAvail().x - gap * (columns - 1)) / columns);
    const ImVec2 origin = ImGui::GetCursorPos();
    for (std::size_t p = 0; p < places.size(); ++p) {
        ImVec2 at = {origin.x + static_cast<float>(p) * (width + gap), origin.y};
        for (const StartTile& tile : starts) {
            if (tile.place != places[p]) {
                continue;
            }
            ImGui::SetCursorPos(at);
            const float height = std::floor(width / std::max(tile.aspect, 0.2f));
            tile_picture(ui, tile, {width, height});
            at.y += height + gap;
        }
    }
}

std::string held_names(const ControlState& controls) {
    std::string names;
    for (int i = 0; i < kActionCount; ++i) {
        if (controls.holds(static_cast<Action>(i))) {
            names += (names.empty() ? "" : ", ") + std::string(kActionNames[static_cast<std::size_t>(i)]);
        }
    }
    std::ranges::replace(names, '_', ' ');
    return names.empty() ? "none" : names;
}

void facts(const PanelContext& ui) {
    const UiModel& model = ui.model;
    const FontScope small(ui.fonts.text, kSmallSize);
    const float right = ImGui::GetCursorPosX() + ImGui::GetContentRegionAvail().x;
    ImGui::PushStyleVarY(ImGuiStyleVar_ItemSpacing, ui.px(3));
    {
        const FontScope bold(ui.fonts.bold, kTextSize);
        text(model.place.empty() ? model.session.model : model.place);
    }
    ImGui::SameLine();
    text(model.start, colour::kDim);
    ImGui::SameLine();
    figure_right(ui, fmt::format("seed {}", model.seed), right, colour::kDim, kSmallSize);

    if (model.session.camera_steering) {
        text("pose", colour::kDim);
        ImGui::SameLine();
        figure_right(ui,
                     fmt::format("x {:6.2f}  z {:6.2f}  {}\u00b0 {}\u00b0", model.pose.x, model.pose.z,
                                 heading_figure(model.pose.yaw), pitch_figure(model.pose.pitch)),
                     right, colour::kText, kSmallSize);
    }
    text("held", colour::kDim);
    ImGui::SameLine();
    figure_right(ui, held_names(ui.controls), right, colour::kText, kSmallSize);
    ImGui::PopStyleVar();
}

} // namespace

void session_panel(const PanelContext& ui, PromptDraft& draft) {
    if (!begin_panel(kSessionPanel, &ui.preferences.show_session)) {
        ImGui::End();
        return;
    }
    facts(ui);
    ImGui::Dummy({0, ui.px(1)});
    const bool text_model = !ui.model.session.camera_steering;
    if (text_model || ui.model.session.takes_prompt) prompt_section(ui, draft);
    if (!text_model) gallery(ui);
    ImGui::End();
}

} // namespace wander::gui
