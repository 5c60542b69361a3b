#include "gui/widgets.hpp"

#include <algorithm>
#include <cmath>

namespace wander::gui {

void text(std::string_view s, ImU32 colour) {
    ImGui::PushStyleColor(ImGuiCol_Text, colour);
    ImGui::TextUnformatted(s.data(), s.data() + s.size());
    ImGui::PopStyleColor();
}

void text_right(std::string_view s, float right, ImU32 colour) {
    ImGui::SetCursorPosX(right - ImGui::CalcTextSize(s.data(), s.data() + s.size()).x);
    text(s, colour);
}

void figure(const PanelContext& ui, std::string_view s, ImU32 colour, float size) {
    const FontScope scope(ui.fonts.figures, size);
    text(s, colour);
}

void figure_right(const PanelContext& ui, std::string_view s, float right, ImU32 colour, float size) {
    const FontScope scope(ui.fonts.figures, size);
    text_right(s, right, colour);
}

ImVec2 text_size(ImFont* font, float scaled_size, std::string_view s) {
    return font->CalcTextSizeA(scaled_size, FLT_MAX, 0, s.data(), s.data() + s.size());
}

void draw_text(ImDrawList& list, ImFont* font, float scaled_size, ImVec2 at, ImU32 colour, std::string_view s) {
    // Whole pixels keep the glyphs sharp.
    list.AddText(font, scaled_size, {std::floor(at.x), std::floor(at.y)}, colour, s.data(), s.data() + s.size());
}

bool stacked_bar(const char* id, std::span<const BarPart> parts, double full, float height, float rounding) {
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const float width = std::max(1.0f, ImGui::GetContentRegionAvail().x);
    ImGui::InvisibleButton(id, {width, height});
    const bool hovered = ImGui::IsItemHovered();
    ImDrawList& list = *ImGui::GetWindowDrawList();
    list.AddRectFilled(at, {at.x + width, at.y + height}, colour::kWell, rounding);
    double total = 0;
    for (const BarPart& part : parts) {
        total += part.value;
    }
    if (full <= 0 || total <= 0) {
        return hovered;
    }
    // Round corners come from the clipped ends of one shape: the first and the last part that can be seen.
    double sum = 0;
    for (const BarPart& part : parts) {
        const float left = at.x + static_cast<float>(sum / full) * width;
        sum += part.value;
        const float right = std::min(at.x + static_cast<float>(sum / full) * width, at.x + width);
        if (part.value <= 0 || right - left < 0.25f) {
            continue;
        }
        ImDrawFlags corners = ImDrawFlags_RoundCornersNone;
        if (left - at.x < 0.5f) {
            corners = ImDrawFlags_RoundCornersLeft;
        }
        if (sum >= total * 0.9999 && at.x + width - right < rounding) {
            corners =
                corners == ImDrawFlags_RoundCornersLeft ? ImDrawFlags_RoundCornersAll : ImDrawFlags_RoundCornersRight;
        }
        list.AddRectFilled({left, at.y}, {right, at.y + height}, part.colour, rounding, corners);
    }
    return hovered;
}

void keycap(ImDrawList& list, const PanelContext& ui, ImVec2 at, ImVec2 size, std::string_view label, ImGuiDir arrow,
            bool lit) {
    const float rounding = ui.px(4);
    const ImVec2 end = {at.x + size.x, at.y + size.y};
    const ImU32 ink = lit ? IM_COL32(12, 24, 22, 255) : colour::kText;
    list.AddRectFilled(at, end, lit ? colour::kAccent : colour::kShade, rounding);
    list.AddRect(at, end, lit ? colour::kAccent : IM_COL32(255, 255, 255, 44), rounding);
    if (arrow == ImGuiDir_None) {
        const float font_size = ui.px(kSmallSize);
        const ImVec2 extent = text_size(ui.fonts.bold, font_size, label);
        draw_text(list, ui.fonts.bold, font_size, {at.x + (size.x - extent.x) / 2, at.y + (size.y - extent.y) / 2}, ink,
                  label);
        return;
    }
    const ImVec2 middle = {at.x + size.x / 2, at.y + size.y / 2};
    const float r = ui.px(4.0f);
    const float dx = arrow == ImGuiDir_Left ? -1.0f : arrow == ImGuiDir_Right ? 1.0f : 0.0f;
    const float dy = arrow == ImGuiDir_Up ? -1.0f : arrow == ImGuiDir_Down ? 1.0f : 0.0f;
    const ImVec2 tip = {middle.x + dx * r * 0.9f, middle.y + dy * r * 0.9f};
    const ImVec2 base = {middle.x - dx * r * 0.7f, middle.y - dy * r * 0.7f};
    list.AddTriangleFilled(tip, {base.x - dy * r, base.y + dx * r}, {base.x + dy * r, base.y - dx * r}, ink);
}

void fact_row(const PanelContext& ui, std::string_view label, std::string_view value, ImU32 colour) {
    const float right = ImGui::GetCursorPosX() + ImGui::GetContentRegionAvail().x;
    text(label, colour::kDim);
    ImGui::SameLine();
    figure_right(ui, value, right, colour);
}

} // namespace wander::gui
