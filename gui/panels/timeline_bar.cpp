#include "gui/key_map.hpp"
#include "gui/panels/panels.hpp"
#include "gui/plain/figures.hpp"
#include "gui/widgets.hpp"

#include <fmt/format.h>
#include <imgui_internal.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

namespace wander::gui {

namespace {

constexpr float kBarHeight = 44;
constexpr float kCellsTop = 7;
constexpr float kCellHeight = 17;
constexpr float kLegendSize = 12;
constexpr float kMaxLatentWidth = 26;

bool is_open(const PageCell& cell) { return cell.format == "open"; }

void record_button(const PanelContext& ui) {
    const RecordingState& recording = ui.model.recording;
    const FontScope scope(ui.fonts.figures, kFigureSize);
    const std::string label = "REC " + duration_figure(recording.active ? recording.seconds : 0);
    const float dot = ui.px(4.5f);
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const ImVec2 extent = ImGui::CalcTextSize(label.c_str());
    if (ImGui::InvisibleButton("record", {extent.x + dot * 4, extent.y}) && recording.unavailable.empty()) {
        ui.commands.toggle_record = true;
    }
    const bool hovered = ImGui::IsItemHovered();
    const ImVec2 middle = {at.x + dot, at.y + extent.y / 2};
    ImDrawList& list = *ImGui::GetWindowDrawList();
    ImU32 ink = hovered ? colour::kText : colour::kFaint;
    if (recording.active) {
        ink = colour::kText;
        list.AddCircleFilled(middle, dot, colour::kRecord);
    } else {
        list.AddCircle(middle, dot, ink, 0, ui.px(1.5f));
    }
    list.AddText({at.x + dot * 3.2f, at.y}, ink, label.c_str());
    if (hovered) {
        const std::string key = key_label_of(KeyCommand::record);
        const std::string tip = !recording.unavailable.empty() ? recording.unavailable
                                : recording.active
                                    ? fmt::format("{}\n{} frames, {} dropped, {}\n{} stops", recording.file,
                                                  recording.frames, recording.dropped, recording.encoder, key)
                                    : key + " records an MP4";
        ImGui::SetTooltip("%s", tip.c_str());
    }
    if (recording.dropped > 0 && recording.active) {
        ImGui::SameLine(0, ui.px(10));
        text(fmt::format("{} dropped", recording.dropped), colour::kWarning);
    }
}

ImU32 colour_of(const PanelContext& ui, std::string_view format) {
    return colour::of_family(family_in(ui.model, format));
}

void cell_tooltip(const PanelContext& ui, const PageCell& cell) {
    const std::vector<std::string_view> formats = formats_of_cell(cell.format);
    ImGui::BeginTooltip();
    ImGui::PushTextWrapPos(ui.px(340));
    if (cell.sink) {
        text("Start, always visible");
    }
    if (is_open(cell)) {
        text("Page being filled, uncompressed");
    }
    for (const std::string_view name : formats) {
        if (is_open(cell)) {
            break;
        }
        const FormatChoice* format = find_format(ui.model, name);
        text(format ? fmt::format("{}, {:g} bit, {}", format->label, format->bits, ratio_figure(format->ratio, 1))
                    : std::string(name),
             colour_of(ui, name));
    }
    if (formats.size() > 1) {
        text("one for some layers, one for others", colour::kDim);
    }
    const std::int64_t last = cell.first_latent + std::max(cell.latents, 1) - 1;
    text(cell.latents <= 1 ? fmt::format("latent {}", cell.first_latent)
                           : fmt::format("latents {} to {}", cell.first_latent, last),
         colour::kDim);
    if (cell.visible_latents < cell.latents) {
        text(fmt::format("{} of {} inside the window", cell.visible_latents, cell.latents), colour::kDim);
    }
    if (cell.bytes > 0) {
        text(bytes_with_unit(cell.bytes, 1) + ", all layers", colour::kDim);
    }
    if (cell.lossy_history) {
        text("Lossy history: converted from a packed page, so no more exact than that was.", colour::kWarning);
    }
    ImGui::PopTextWrapPos();
    ImGui::EndTooltip();
}

struct CellPart { // one latent of a cell
    ImVec2 top;
    ImVec2 bottom;
    ImDrawFlags corners = ImDrawFlags_RoundCornersNone;
    float alpha = 1;
};

ImDrawFlags corners_of(int part, int parts) {
    return parts == 1          ? ImDrawFlags_RoundCornersAll
           : part == 0         ? ImDrawFlags_RoundCornersLeft
           : part + 1 == parts ? ImDrawFlags_RoundCornersRight
                               : ImDrawFlags_RoundCornersNone;
}

// Layers of several formats become bands, the first layers on top.
void draw_part(const PanelContext& ui, ImDrawList& list, const PageCell& page, const CellPart& part) {
    const float round = ui.px(3);
    if (is_open(page)) {
        list.AddRectFilled(part.top, part.bottom, colour::with_alpha(colour::kUncompressed, part.alpha * 0.35f), round,
                           part.corners);
        list.AddRect(part.top, part.bottom, colour::with_alpha(colour::kUncompressed, part.alpha), round, 1.0f,
                     part.corners);
        return;
    }
    const std::vector<std::string_view> formats = formats_of_cell(page.format);
    const float height = (part.bottom.y - part.top.y) / static_cast<float>(formats.size());
    for (std::size_t i = 0; i < formats.size(); ++i) {
        const float top = part.top.y + height * static_cast<float>(i);
        list.AddRectFilled({part.top.x, top}, {part.bottom.x, top + height},
                           colour::with_alpha(colour_of(ui, formats[i]), part.alpha), formats.size() == 1 ? round : 0,
                           part.corners);
    }
}

// A dot for the start, a notch for pages that a packed one was converted into.
void draw_marks(const PanelContext& ui, ImDrawList& list, const PageCell& page, ImVec2 top, ImVec2 bottom) {
    if (page.sink) {
        list.AddCircleFilled({(top.x + bottom.x) / 2, (top.y + bottom.y) / 2}, ui.px(2), IM_COL32(255, 255, 255, 210));
    }
    if (page.lossy_history) {
        const float side = ui.px(7);
        list.AddTriangleFilled({bottom.x - side, top.y}, {bottom.x, top.y}, {bottom.x, top.y + side}, colour::kBar);
        list.AddTriangleFilled({bottom.x - side * 0.7f, top.y}, {bottom.x, top.y}, {bottom.x, top.y + side * 0.7f},
                               colour::kWarning);
    }
}

// One block a page group, divided into latents; those outside the window are dim.
void cells(const PanelContext& ui, float width, float height) {
    const std::vector<PageCell>& pages = ui.model.history.newest().pages;
    const ImVec2 origin = ImGui::GetCursorScreenPos();
    ImGui::InvisibleButton("pages", {std::max(width, 1.0f), height});
    const bool hovered = ImGui::IsItemHovered();
    int latents = 0;
    for (const PageCell& page : pages) {
        latents += std::max(page.latents, 1);
    }
    const float gap = ui.px(3);
    const float room = width - gap * static_cast<float>(pages.size());
    if (latents == 0 || room <= 0) {
        return;
    }
    const float step = std::min(room / static_cast<float>(latents), ui.px(kMaxLatentWidth));
    ImDrawList& list = *ImGui::GetWindowDrawList();
    const float mouse = ImGui::GetIO().MousePos.x;
    float x = origin.x;
    for (const PageCell& page : pages) {
        const int count = std::max(page.latents, 1);
        const float end = x + step * static_cast<float>(count);
        const bool under_mouse = hovered && mouse >= x && mouse < end + gap;
        for (int i = 0; i < count; ++i) {
            const float left = std::floor(x + step * static_cast<float>(i));
            const float right =
                std::floor(x + step * static_cast<float>(i + 1)) - (i + 1 < count && step > 4 ? 1.0f : 0.0f);
            const bool visible = i >= count - page.visible_latents; // the oldest leave the window first
            const float alpha = (visible ? 0.88f : 0.28f) + (under_mouse ? 0.12f : 0.0f);
            draw_part(ui, list, page, {{left, origin.y}, {right, origin.y + height}, corners_of(i, count), alpha});
        }
        draw_marks(ui, list, page, {std::floor(x), origin.y}, {std::floor(end), origin.y + height});
        if (under_mouse) {
            cell_tooltip(ui, page);
        }
        x = end + gap;
    }
}

// What the colours and marks of the cells mean, of those that are there now, as far as there is room.
void legend(const PanelContext& ui, float left, float top, float width) {
    std::vector<std::pair<std::string, ImU32>> entries; // oldest page first
    bool lossy = false;
    for (const PageCell& page : ui.model.history.newest().pages) {
        lossy = lossy || page.lossy_history;
        for (const std::string_view name : formats_of_cell(page.format)) {
            std::string label = is_open(page) ? "being filled" : format_label(ui.model, name);
            if (std::ranges::find(entries, label, &std::pair<std::string, ImU32>::first) == entries.end()) {
                entries.emplace_back(std::move(label), colour_of(ui, name));
            }
        }
    }
    if (lossy) {
        entries.emplace_back("lossy history", colour::kWarning);
    }
    const FontScope small(ui.fonts.text, kLegendSize);
    const float end = left + width;
    for (const auto& [label, colour] : entries) {
        const float label_width = ImGui::CalcTextSize(label.c_str()).x;
        if (left + ui.px(11) + label_width > end) {
            return;
        }
        ImGui::SetCursorPos({left, top});
        const ImVec2 at = ImGui::GetCursorScreenPos();
        const float side = ui.px(7);
        const float y = std::floor(at.y + (ImGui::GetTextLineHeight() - side) / 2);
        ImDrawList& list = *ImGui::GetWindowDrawList();
        if (label == "being filled") {
            list.AddRect({at.x, y}, {at.x + side, y + side}, colour, ui.px(2));
        } else if (label == "lossy history") {
            list.AddTriangleFilled({at.x, y}, {at.x + side, y}, {at.x + side, y + side}, colour);
        } else {
            list.AddRectFilled({at.x, y}, {at.x + side, y + side}, colour, ui.px(2));
        }
        ImGui::SetCursorPosX(left + ui.px(11));
        text(label, colour::kDim);
        left += ui.px(11) + label_width + ui.px(14);
    }
}

std::string status(const UiModel& model) {
    if (model.paused && (model.worker == WorkerState::paused || model.worker == WorkerState::generating)) {
        return "paused";
    }
    const std::int64_t waiting = model.history.empty() ? 0 : model.history.newest().ledger.pages_waiting;
    if (waiting > 0) {
        return fmt::format("converting, {:2} left", waiting);
    }
    return model.session.device.empty() ? "" : fmt::format("{}  {}", model.session.device, model.session.precision);
}

} // namespace

void timeline_bar(const PanelContext& ui) {
    ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(ui.px(14), 0));
    ImGui::PushStyleVar(ImGuiStyleVar_WindowRounding, 0);
    ImGui::PushStyleColor(ImGuiCol_WindowBg, colour::kBar);
    const ImGuiWindowFlags flags = ImGuiWindowFlags_NoScrollbar | ImGuiWindowFlags_NoScrollWithMouse |
                                   ImGuiWindowFlags_NoSavedSettings | ImGuiWindowFlags_NoDocking;
    const bool open = ImGui::BeginViewportSideBar("Timeline", nullptr, ImGuiDir_Down, ui.px(kBarHeight), flags);
    ImGui::PopStyleColor();
    ImGui::PopStyleVar(2);
    if (open) {
        const float line = ImGui::GetTextLineHeight();
        const float middle = (ui.px(kBarHeight) - line) / 2;
        const float right = ImGui::GetCursorPosX() + ImGui::GetContentRegionAvail().x;
        ImGui::SetCursorPosY(middle);
        record_button(ui);
        ImGui::SameLine(0, ui.px(18));
        ImGui::SetCursorPosY(middle);
        text("chunk", colour::kDim);
        ImGui::SameLine(0, ui.px(6));
        const std::int64_t chunk = ui.model.shown_chunk;
        figure(ui, chunk < 0 ? "    -" : fmt::format("{:5}", chunk));
        ImGui::SameLine(0, ui.px(18));
        const float left = ImGui::GetCursorPosX();
        const float reserved = ui.px(164);
        if (!ui.model.history.empty()) {
            ImGui::SetCursorPosY(ui.px(kCellsTop));
            cells(ui, right - left - reserved, ui.px(kCellHeight));
            legend(ui, left, ui.px(kCellsTop + kCellHeight + 2), right - left - reserved);
            ImGui::SameLine();
        }
        ImGui::SetCursorPosY(middle);
        const std::string state = status(ui.model);
        figure_right(ui, state, right, state == "paused" ? colour::kAccent : colour::kDim, kSmallSize);
    }
    ImGui::End();
}

} // namespace wander::gui
