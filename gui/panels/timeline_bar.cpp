#include "gui/key_map.hpp"
#include "gui/panels/panels.hpp"
#include "gui/plain/figures.hpp"
#include "gui/widgets.hpp"

#include <fmt/format.h>
#include <imgui_internal.h>

#include <algorithm>
#include <cmath>

namespace wander::gui {

namespace {

constexpr float kBarHeight = 44;
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

void cell_tooltip(const PanelContext& ui, const PageCell& cell) {
    const FormatChoice* format = nullptr;
    for (const FormatChoice& choice : ui.model.session.formats) {
        format = choice.name == cell.format ? &choice : format;
    }
    ImGui::BeginTooltip();
    text(cell.sink ? "Start, always kept" : is_open(cell) ? "Page being filled" : format ? format->label : cell.format);
    const std::int64_t last = cell.first_latent + std::max(cell.latents, 1) - 1;
    text(cell.latents <= 1 ? fmt::format("latent {}", cell.first_latent)
                           : fmt::format("latents {} to {}", cell.first_latent, last),
         colour::kDim);
    if (cell.visible_latents < cell.latents) {
        text(fmt::format("{} of {} inside the window", cell.visible_latents, cell.latents), colour::kDim);
    }
    if (format && !is_open(cell)) {
        text(fmt::format("{:g} bit a value", format->bits), colour::kDim);
    }
    if (cell.bytes > 0) {
        text(bytes_with_unit(cell.bytes, 1), colour::kDim);
    }
    if (cell.lossy_history) {
        text("converted from a packed page: no more exact than that", colour::kDim);
    }
    ImGui::EndTooltip();
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
        const bool open = is_open(page);
        const ImU32 fill = open || page.sink ? colour::kUncompressed : colour::of_bits(bits_of(ui.model, page.format));
        const bool under_mouse = hovered && mouse >= x && mouse < end + gap;
        for (int i = 0; i < count; ++i) {
            const float left = std::floor(x + step * static_cast<float>(i));
            const float right =
                std::floor(x + step * static_cast<float>(i + 1)) - (i + 1 < count && step > 4 ? 1.0f : 0.0f);
            const bool visible = i >= count - page.visible_latents; // the oldest leave the window first
            const ImDrawFlags corners = count == 1       ? ImDrawFlags_RoundCornersAll
                                        : i == 0         ? ImDrawFlags_RoundCornersLeft
                                        : i + 1 == count ? ImDrawFlags_RoundCornersRight
                                                         : ImDrawFlags_RoundCornersNone;
            const float alpha = (visible ? 0.88f : 0.28f) + (under_mouse ? 0.12f : 0.0f);
            const ImVec2 top = {left, origin.y};
            const ImVec2 bottom = {right, origin.y + height};
            if (open) {
                list.AddRectFilled(top, bottom, colour::with_alpha(fill, alpha * 0.35f), ui.px(3), corners);
                list.AddRect(top, bottom, colour::with_alpha(fill, alpha), ui.px(3), 1.0f, corners);
            } else {
                list.AddRectFilled(top, bottom, colour::with_alpha(fill, alpha), ui.px(3), corners);
            }
        }
        if (page.sink) {
            const float r = ui.px(2);
            list.AddCircleFilled({(x + end) / 2, origin.y + height / 2}, r, IM_COL32(255, 255, 255, 210));
        }
        if (under_mouse) {
            cell_tooltip(ui, page);
        }
        x = end + gap;
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
            const float height = ui.px(20);
            ImGui::SetCursorPosY((ui.px(kBarHeight) - height) / 2);
            cells(ui, right - left - reserved, height);
            ImGui::SameLine();
        }
        ImGui::SetCursorPosY(middle);
        const std::string state = status(ui.model);
        figure_right(ui, state, right, state == "paused" ? colour::kAccent : colour::kDim, kSmallSize);
    }
    ImGui::End();
}

} // namespace wander::gui
