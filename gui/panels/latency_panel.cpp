#include "gui/layout.hpp"
#include "gui/panels/panels.hpp"
#include "gui/plain/figures.hpp"
#include "gui/plain/statistics.hpp"
#include "gui/widgets.hpp"

#include <fmt/format.h>
#include <implot.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace wander::gui {

namespace {

constexpr std::array<ImU32, kStageCount> kStageColours = {colour::kAccent, colour::kSeriesBlue, colour::kSeriesGold,
                                                          colour::kSeriesViolet, colour::kSeriesSlate};
constexpr std::array<const char*, kStageCount> kStageHelp = {
    "denoising passes, expanding pages included", "the pass that makes the clean keys and values",
    "packing and converting pages", "expanding packed pages; part of denoise and context",
    "latents to pictures; runs beside the next chunk"};
constexpr std::size_t kPlottedChunks = 60;

// The top of the scale moves in steps, so that the plot does not breathe with every chunk.
double scale_top(double ms) {
    const double step = std::pow(10.0, std::floor(std::log10(std::max(ms, 1.0)))) / 2;
    return std::ceil(ms / step) * step;
}

void level(const PanelContext& ui, double ms, const char* label, ImU32 ink, bool below) {
    const ImVec2 left = ImPlot::GetPlotPos();
    const float right = left.x + ImPlot::GetPlotSize().x;
    const float y = std::floor(ImPlot::PlotToPixels(0, ms).y) + 0.5f;
    ImDrawList& list = *ImPlot::GetPlotDrawList();
    const int dashes = static_cast<int>(std::ceil((right - left.x) / ui.px(6)));
    for (int i = 0; i < dashes; ++i) {
        const float x = left.x + static_cast<float>(i) * ui.px(6);
        list.AddLine({x, y}, {std::min(x + ui.px(3), right), y}, ink, 1);
    }
    const float size = ui.px(kSmallSize - 1);
    const ImVec2 extent = text_size(ui.fonts.figures, size, label);
    const ImVec2 at = {left.x + ui.px(2), below ? y + 1 : y - extent.y};
    list.AddRectFilled({at.x - ui.px(2), at.y}, {at.x + extent.x + ui.px(2), at.y + extent.y},
                       IM_COL32(21, 23, 27, 190), ui.px(2));
    draw_text(list, ui.fonts.figures, size, at, ink, label);
}

void stack_plot(const PanelContext& ui, const Summary& total, float height) {
    const auto& chunks = ui.model.history.chunks();
    const std::size_t first = chunks.size() > kPlottedChunks ? chunks.size() - kPlottedChunks : 0;
    double top = total.p99;
    for (std::size_t i = first; i < chunks.size(); ++i) {
        double sum = 0;
        for (const double ms : stacked_ms(chunks[i].ms)) {
            sum += ms;
        }
        top = std::max({top, sum, chunks[i].ms.total});
    }
    // Room for a label above the highest line.
    top = scale_top(top * (1 + static_cast<double>(ui.px(kSmallSize + 1) / std::max(height, 1.0f))));
    if (!ImPlot::BeginPlot("##stages", {-1, height}, ImPlotFlags_CanvasOnly | ImPlotFlags_NoInputs)) {
        return;
    }
    ImPlot::SetupAxes(nullptr, nullptr, ImPlotAxisFlags_NoDecorations, ImPlotAxisFlags_NoDecorations);
    ImPlot::SetupAxesLimits(0, static_cast<double>(kPlottedChunks), 0, top, ImPlotCond_Always);
    const ImVec2 at = ImPlot::GetPlotPos();
    const ImVec2 size = ImPlot::GetPlotSize();
    ImPlot::PushPlotClipRect();
    ImDrawList& list = *ImPlot::GetPlotDrawList();
    list.AddRectFilled(at, {at.x + size.x, at.y + size.y}, colour::with_alpha(colour::kWell, 0.55f), ui.px(3));
    const float gap = size.x / static_cast<float>(kPlottedChunks) > 4 ? 1.0f : 0.0f;
    for (std::size_t i = first; i < chunks.size(); ++i) {
        const double x = static_cast<double>(kPlottedChunks - (chunks.size() - i)); // the newest at the right edge
        const std::array<double, kStageCount> stack = stacked_ms(chunks[i].ms);
        double below = 0;
        for (std::size_t s = 0; s < stack.size(); ++s) {
            const ImVec2 bottom = ImPlot::PlotToPixels(x, below);
            below += stack[s];
            const ImVec2 up = ImPlot::PlotToPixels(x + 1, below);
            list.AddRectFilled({std::floor(bottom.x), up.y}, {std::floor(up.x) - gap, bottom.y}, kStageColours[s]);
        }
    }
    if (!chunks.empty()) {
        level(ui, total.p50, "p50", IM_COL32(240, 243, 246, 230), true);
        level(ui, total.p99, "p99", IM_COL32(240, 243, 246, 130), false);
    }
    ImPlot::PopPlotClipRect();
    ImPlot::EndPlot();
}

void cell(const PanelContext& ui, std::string_view value, ImU32 ink) {
    ImGui::TableNextColumn();
    figure_right(ui, value, ImGui::GetCursorPosX() + ImGui::GetContentRegionAvail().x, ink, kSmallSize);
}

void row(const PanelContext& ui, std::string_view name, const Summary& summary, ImU32 swatch, const char* help,
         bool strong) {
    ImGui::TableNextRow();
    ImGui::TableNextColumn();
    const ImVec2 at = ImGui::GetCursorScreenPos();
    if (swatch) {
        const float side = ui.px(8);
        const float top = at.y + (ImGui::GetTextLineHeight() - side) / 2;
        ImGui::GetWindowDrawList()->AddRectFilled({at.x, top}, {at.x + side, top + side}, swatch, ui.px(2));
    }
    ImGui::SetCursorPosX(ImGui::GetCursorPosX() + ui.px(14));
    text(name, strong ? colour::kText : colour::kDim);
    if (ImGui::IsItemHovered()) {
        ImGui::SetTooltip("%s", help);
    }
    cell(ui, ms_figure(summary.newest), colour::kText);
    cell(ui, ms_figure(summary.p50), strong ? colour::kText : colour::kDim);
    cell(ui, ms_figure(summary.p99), strong ? colour::kText : colour::kDim);
}

void table(const PanelContext& ui, const Summary& total) {
    const ChunkHistory& history = ui.model.history;
    const FontScope small(ui.fonts.text, kSmallSize);
    if (!ImGui::BeginTable("stages", 4, ImGuiTableFlags_SizingStretchProp | ImGuiTableFlags_NoPadOuterX)) {
        return;
    }
    ImGui::TableSetupColumn("", ImGuiTableColumnFlags_WidthStretch, 1.5f);
    for (int i = 0; i < 3; ++i) {
        ImGui::TableSetupColumn("", ImGuiTableColumnFlags_WidthStretch, 1.0f);
    }
    ImGui::TableNextRow();
    ImGui::TableNextColumn();
    text("ms a chunk", colour::kFaint);
    cell(ui, "newest", colour::kFaint);
    cell(ui, "p50", colour::kFaint);
    cell(ui, "p99", colour::kFaint);
    for (std::size_t s = 0; s < kStageCount; ++s) {
        row(ui, kStageNames[s], summarize(history, static_cast<Stage>(s)), kStageColours[s], kStageHelp[s], false);
    }
    row(ui, "total", total, 0, "from sampling the controls to the last decoded frame", true);
    row(ui, "period", summarize_period(history), 0, "between finished chunks", true);
    ImGui::EndTable();
}

} // namespace

void latency_panel(const PanelContext& ui) {
    if (!begin_panel(kLatencyPanel, &ui.preferences.show_latency)) {
        ImGui::End();
        return;
    }
    if (ui.model.history.empty()) {
        text("Times appear with the first chunk.", colour::kDim);
        ImGui::End();
        return;
    }
    const Summary total = summarize_total(ui.model.history);
    const float table_height = 8 * ui.px(kSmallSize + 2) + ui.px(10);
    stack_plot(ui, total, std::max(ui.px(48), ImGui::GetContentRegionAvail().y - table_height));
    table(ui, total);
    ImGui::End();
}

} // namespace wander::gui
