#include "gui/panels/panels.hpp"
#include "gui/plain/figures.hpp"
#include "gui/widgets.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <string>

namespace wander::gui {

namespace {

constexpr float kKeySide = 22;
constexpr float kKeyGap = 3;
constexpr float kMargin = 14;

struct Cap {
    int column;
    int row;
    const char* label;
    ImGuiDir arrow;
    Action action;
};
constexpr std::array<Cap, 8> kCaps = {{
    {1, 0, "W", ImGuiDir_None, Action::forward},
    {0, 1, "A", ImGuiDir_None, Action::left},
    {1, 1, "S", ImGuiDir_None, Action::back},
    {2, 1, "D", ImGuiDir_None, Action::right},
    {5, 0, "", ImGuiDir_Up, Action::pitch_up},
    {4, 1, "", ImGuiDir_Left, Action::yaw_left},
    {5, 1, "", ImGuiDir_Down, Action::pitch_down},
    {6, 1, "", ImGuiDir_Right, Action::yaw_right},
}};

void keys_held(const PanelContext& ui, ImDrawList& list) {
    const float step = ui.px(kKeySide + kKeyGap);
    const ImVec2 origin = {std::floor(ui.world.x + ui.px(kMargin)),
                           std::floor(ui.world.y + ui.world.height - ui.px(kMargin) - 2 * step + ui.px(kKeyGap))};
    for (const Cap& cap : kCaps) {
        const float column =
            static_cast<float>(cap.column) - (cap.column > 3 ? 0.5f : 0.0f); // half a key between the blocks
        keycap(list, ui,
               {std::floor(origin.x + column * step), std::floor(origin.y + static_cast<float>(cap.row) * step)},
               {ui.px(kKeySide), ui.px(kKeySide)}, cap.label, cap.arrow, ui.controls.holds(cap.action));
    }
}

void compass(const PanelContext& ui, ImDrawList& list, ImVec2 middle, float radius, float yaw) {
    list.AddCircle(middle, radius, IM_COL32(255, 255, 255, 70), 32, ui.px(1));
    // North on the dial turns away from where one turns to; straight up is where one looks.
    const ImVec2 north = {middle.x - std::sin(yaw) * radius, middle.y - std::cos(yaw) * radius};
    const ImVec2 side = {std::cos(yaw) * radius * 0.28f, -std::sin(yaw) * radius * 0.28f};
    list.AddTriangleFilled(north, {middle.x + side.x, middle.y + side.y}, {middle.x - side.x, middle.y - side.y},
                           colour::kAccent);
    const ImVec2 south = {2 * middle.x - north.x, 2 * middle.y - north.y};
    list.AddTriangleFilled(south, {middle.x - side.x, middle.y - side.y}, {middle.x + side.x, middle.y + side.y},
                           IM_COL32(255, 255, 255, 120));
}

void heading_and_age(const PanelContext& ui, ImDrawList& list) {
    const float size = ui.px(kFigureSize);
    const float small = ui.px(kSmallSize);
    const std::string heading =
        fmt::format("{}\u00b0 {}", heading_figure(ui.model.pose.yaw), heading_name(ui.model.pose.yaw));
    const std::string age = ui.model.input_age_ms > 0
                                ? fmt::format("input {:>4.0f} ms", std::min(ui.model.input_age_ms, 9999.0))
                                : "input    - ms";
    const ImVec2 extent = text_size(ui.fonts.figures, small, "input 9999 ms");
    const bool has_camera = ui.model.session.camera_steering;
    const ImVec2 box = has_camera ? ImVec2{extent.x + ui.px(62), ui.px(2 * kKeySide + kKeyGap)}
                                  : ImVec2{extent.x + ui.px(24), small + ui.px(12)};
    const ImVec2 at = {std::floor(ui.world.x + ui.world.width - ui.px(kMargin) - box.x),
                       std::floor(ui.world.y + ui.world.height - ui.px(kMargin) - box.y)};
    list.AddRectFilled(at, {at.x + box.x, at.y + box.y}, colour::kShade, ui.px(6));
    if (!has_camera) {
        draw_text(list, ui.fonts.figures, small, {at.x + ui.px(12), at.y + ui.px(6)}, colour::kDim, age);
        return;
    }
    compass(ui, list, {at.x + ui.px(26), at.y + box.y / 2}, ui.px(15), ui.model.pose.yaw);
    const float x = at.x + ui.px(50);
    draw_text(list, ui.fonts.figures, size, {x, at.y + ui.px(6)}, colour::kText, heading);
    draw_text(list, ui.fonts.figures, small, {x, at.y + box.y - ui.px(6) - small}, colour::kDim, age);
}

void pill(const PanelContext& ui, ImDrawList& list, ImVec2 middle, std::string_view title, std::string_view rest) {
    const float size = ui.px(kTextSize);
    const ImVec2 bold = text_size(ui.fonts.bold, size, title);
    const ImVec2 plain = text_size(ui.fonts.text, size, rest);
    const ImVec2 half = {(bold.x + plain.x) / 2 + ui.px(16), size / 2 + ui.px(8)};
    list.AddRectFilled({middle.x - half.x, middle.y - half.y}, {middle.x + half.x, middle.y + half.y},
                       IM_COL32(10, 11, 13, 200), half.y);
    const ImVec2 at = {middle.x - half.x + ui.px(16), middle.y - size / 2 - ui.px(1)};
    draw_text(list, ui.fonts.bold, size, at, colour::kText, title);
    draw_text(list, ui.fonts.text, size, {at.x + bold.x, at.y}, colour::kDim, rest);
}

} // namespace

void hud(const PanelContext& ui) {
    // Over the picture and below every panel.
    ImDrawList& list = *ImGui::GetBackgroundDrawList();
    const ImVec2 top = {ui.world.x + ui.world.width / 2, ui.world.y + ui.px(30)};
    if (ui.model.worker == WorkerState::loading || ui.model.worker == WorkerState::empty) {
        const std::string rest = ui.model.loading.empty() ? "" : "    " + ui.model.loading;
        pill(ui, list, {top.x, ui.world.y + ui.world.height / 2}, "Loading the model", rest);
        return;
    }
    if (ui.model.paused) {
        pill(ui, list, top, "Paused", "    Space goes on    N one chunk");
    }
    if (ui.model.idle) {
        pill(ui, list, top, "Standing still", "    a movement key goes on");
    }
    if (!ui.preferences.show_hud || ui.world.width < ui.px(360) || ui.world.height < ui.px(140)) {
        return;
    }
    keys_held(ui, list);
    heading_and_age(ui, list);
}

} // namespace wander::gui
