// The open world: which one, its places and start points, its card with what was measured.

#include "gui/layout.hpp"
#include "gui/panels/panels.hpp"
#include "gui/widgets.hpp"

#include <imgui_internal.h> // ScrollToItem

#include <algorithm>
#include <cmath>

namespace wander::gui {

namespace {

constexpr std::size_t kColumns = 3; // of places; more go below

// "village_fountain" is shown as "fountain" below "village".
std::string_view short_name(const StartTile& tile) {
    std::string_view name = tile.name;
    if (name.starts_with(tile.place) && name.size() > tile.place.size() + 1) {
        name.remove_prefix(tile.place.size() + 1);
    }
    return name;
}

void tile_picture(const PanelContext& ui, OverlayState& overlay, const StartTile& tile, ImVec2 size) {
    const bool current = tile.name == ui.model.start;
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const ImVec2 end = {at.x + size.x, at.y + size.y};
    ImGui::PushID(tile.name.c_str());
    if (ImGui::InvisibleButton("tile", size)) {
        ui.commands.start = tile.name;
    }
    // Once a walk: afterwards a person may scroll elsewhere.
    if (current && overlay.shown_start != tile.name) {
        ImGui::ScrollToItem(ImGuiScrollFlags_KeepVisibleEdgeY);
        overlay.shown_start = tile.name;
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

// "/home/me/harbour" and "/home/me/harbour/world" are both called "harbour".
std::string folder_name(std::string_view path) {
    const auto cut = [&path] {
        while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
        const std::size_t slash = path.rfind('/');
        const std::string_view last = slash == std::string_view::npos ? path : path.substr(slash + 1);
        path = slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
        return last;
    };
    const std::string_view last = cut();
    if (last != "world" || path.empty()) return std::string(last);
    return std::string(cut());
}

// The embedded world, folders that were opened before, and another one.
void choose_world(const PanelContext& ui, OverlayState& overlay) {
    const UiModel& model = ui.model;
    const std::string name = model.session.card ? model.session.card->name : model.session.model;
    const auto choice = [&](const std::string& label, const std::string& folder) {
        ImGui::PushID(folder.c_str());
        if (ImGui::Selectable(label.c_str(), folder == model.model_folder) && folder != model.model_folder)
            ui.commands.model_folder = folder;
        if (folder != "embedded" && ImGui::IsItemHovered()) ImGui::SetTooltip("%s", folder.c_str());
        ImGui::PopID();
    };
    if (!ImGui::BeginCombo("##world", name.c_str())) return;
    choice("embedded", "embedded");
    for (const std::string& folder : model.recent_models) choice(folder_name(folder), folder);
    ImGui::Separator();
    if (ImGui::Selectable("Open a folder...")) overlay.ask_model_folder = true;
    ImGui::EndCombo();
}

// Which world, and whether its places or its card are shown.
void header(const PanelContext& ui, OverlayState& overlay) {
    const bool has_card = ui.model.session.card.has_value();
    const char* label = overlay.show_card ? "Places" : "Card";
    const float button = has_card ? ImGui::CalcTextSize("Places").x + ui.px(22) : 0;
    ImGui::SetNextItemWidth(ImGui::GetContentRegionAvail().x - (has_card ? button + ui.px(8) : 0));
    choose_world(ui, overlay);
    if (!has_card) return;
    ImGui::SameLine(0, ui.px(8));
    if (ImGui::Button(label, {button, 0})) overlay.show_card = !overlay.show_card;
}

// A column for each place, its start points below each other; three columns, then the next below.
void places(const PanelContext& ui, OverlayState& overlay) {
    const auto& starts = ui.model.session.starts;
    std::vector<std::string_view> names;
    for (const StartTile& tile : starts) {
        if (std::ranges::find(names, tile.place) == names.end()) names.push_back(tile.place);
    }
    if (names.empty()) {
        text("Nothing to choose from: this model is told by its prompt where to go.", colour::kDim);
        return;
    }
    const float gap = ui.px(8);
    const std::size_t columns = std::min(names.size(), kColumns);
    const auto count = static_cast<float>(columns);
    const float width = std::floor((ImGui::GetContentRegionAvail().x - gap * (count - 1)) / count);
    ImVec2 origin = ImGui::GetCursorPos();
    float bottom = origin.y;
    for (std::size_t p = 0; p < names.size(); ++p) {
        if (p > 0 && p % columns == 0) origin.y = bottom;
        ImVec2 at = {origin.x + static_cast<float>(p % columns) * (width + gap), origin.y};
        ImGui::SetCursorPos(at);
        {
            const FontScope small(ui.fonts.text, kSmallSize);
            text(names[p], names[p] == ui.model.place ? colour::kAccent : colour::kDim);
            at.y += ImGui::GetTextLineHeight() + ui.px(2);
        }
        for (const StartTile& tile : starts) {
            if (tile.place != names[p]) continue;
            ImGui::SetCursorPos(at);
            const float height = std::floor(width / std::max(tile.aspect, 0.2f));
            tile_picture(ui, overlay, tile, {width, height});
            at.y += height + gap;
        }
        bottom = std::max(bottom, at.y);
    }
}

void figures_table(const PanelContext& ui, const WorldCard& card) {
    const FontScope small(ui.fonts.figures, kSmallSize - 1);
    if (!ImGui::BeginTable("figures", static_cast<int>(card.columns.size()) + 1, ImGuiTableFlags_SizingStretchProp))
        return;
    const auto cell = [](std::string_view s, ImU32 colour) {
        ImGui::TableNextColumn();
        text(s, colour);
    };
    cell("after, s", colour::kDim);
    for (const std::string& column : card.columns) cell(column, colour::kDim);
    for (const CardRow& row : card.figures) {
        ImGui::TableNextRow();
        cell(row.label, colour::kDim);
        for (std::size_t i = 0; i < std::min(row.cells.size(), card.columns.size()); ++i)
            cell(row.cells[i], colour::kText);
    }
    ImGui::EndTable();
}

// Every place by its name, what it is called where the pointer rests.
void place_names(const PanelContext& ui, const WorldCard& card) {
    const float right = ImGui::GetCursorScreenPos().x + ImGui::GetContentRegionAvail().x;
    for (std::size_t i = 0; i < card.places.size(); ++i) {
        const NamedChoice& place = card.places[i];
        const float width = ImGui::CalcTextSize(place.name.c_str()).x;
        if (i > 0) {
            ImGui::SameLine(0, ui.px(10));
            if (ImGui::GetCursorScreenPos().x + width > right) ImGui::NewLine();
        }
        text(place.name, place.name == ui.model.place ? colour::kAccent : colour::kText);
        if (!place.help.empty() && ImGui::IsItemHovered()) ImGui::SetTooltip("%s", place.help.c_str());
    }
}

void card_view(const PanelContext& ui, const WorldCard& card) {
    const FontScope small(ui.fonts.text, kSmallSize);
    ImGui::PushStyleVarY(ImGuiStyleVar_ItemSpacing, ui.px(3));
    ImGui::PushTextWrapPos(0);
    place_names(ui, card);
    if (card.columns.empty()) {
        text("Not measured yet: wander evaluate --card does that.", colour::kDim);
    } else {
        figures_table(ui, card);
    }
    const float right = ImGui::GetCursorPosX() + ImGui::GetContentRegionAvail().x;
    for (const NamedChoice& fact : card.facts) {
        text(fact.name, colour::kDim);
        ImGui::SameLine();
        figure_right(ui, fact.help, right, colour::kText, kSmallSize);
    }
    text(card.folder, colour::kFaint);
    ImGui::PopTextWrapPos();
    ImGui::PopStyleVar();
}

} // namespace

void world_panel(const PanelContext& ui, OverlayState& overlay) {
    if (!begin_panel(kWorldPanel, &ui.preferences.show_world)) {
        ImGui::End();
        return;
    }
    header(ui, overlay);
    const std::optional<WorldCard>& card = ui.model.session.card;
    if (overlay.show_card && card) {
        card_view(ui, *card);
    } else {
        places(ui, overlay);
    }
    ImGui::End();
}

} // namespace wander::gui
