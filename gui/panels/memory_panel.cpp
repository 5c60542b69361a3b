#include "gui/layout.hpp"
#include "gui/panels/panels.hpp"
#include "gui/plain/figures.hpp"
#include "gui/widgets.hpp"

#include <fmt/format.h>
#include <implot.h>

#include <algorithm>
#include <array>
#include <vector>

namespace wander::gui {

namespace {

struct Kind {
    const char* name;
    std::int64_t KindBytes::* bytes;
    ImU32 colour;
    const char* help;
};
constexpr std::array<Kind, 5> kKinds = {{
    {"codes", &KindBytes::codes, colour::kAccent, "packed residual codes"},
    {"scales", &KindBytes::scales, colour::kSeriesViolet, "one scale for every block of codes"},
    {"codebooks", &KindBytes::codebooks, colour::kSeriesGold, "centroids and the ids that point at them"},
    {"headers", &KindBytes::headers, colour::kSeriesSlate, "page headers and padding"},
    {"open", &KindBytes::open, colour::kUncompressed,
     "uncompressed: the start, the page being filled, pages not packed"},
}};

constexpr double kPlottedChunks = 120;
constexpr std::size_t kLegendColumns = 3;

void kind_tooltip(const PanelContext& ui, const char* title, const KindBytes& bytes, ByteUnit unit) {
    ImGui::BeginTooltip();
    text(title);
    for (const Kind& kind : kKinds) {
        figure(ui, fmt::format("{:<9} {} {}", kind.name, bytes_figure(bytes.*kind.bytes, unit, 8), unit_name(unit)),
               colour::kDim);
    }
    figure(ui, fmt::format("{:<9} {} {}", "together", bytes_figure(bytes.total(), unit, 8), unit_name(unit)));
    ImGui::EndTooltip();
}

void kind_bar(const PanelContext& ui, const char* letter, const char* title, const KindBytes& bytes, double full,
              ByteUnit unit) {
    const float height = ui.px(14);
    const float left = ImGui::GetCursorPosX();
    figure(ui, letter, colour::kDim);
    ImGui::SameLine(left + ui.px(18));
    ImGui::SetCursorPosY(ImGui::GetCursorPosY() + ui.px(1.5f));
    std::array<BarPart, kKinds.size()> parts;
    for (std::size_t i = 0; i < kKinds.size(); ++i) {
        parts[i] = {static_cast<double>(bytes.*kKinds[i].bytes), kKinds[i].colour};
    }
    if (stacked_bar(letter, parts, full, height, ui.px(3))) {
        kind_tooltip(ui, title, bytes, unit);
    }
}

// One figure of the legend, the column's number from 0.
void legend_entry(const PanelContext& ui, std::size_t i, const char* name, const char* help, ImU32 colour,
                  const std::string& bytes, float left, float column) {
    const float x = left + column * static_cast<float>(i % kLegendColumns);
    if (i % kLegendColumns != 0) ImGui::SameLine();
    ImGui::SetCursorPosX(x);
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const float side = ui.px(8);
    const float top = at.y + (ImGui::GetTextLineHeight() - side) / 2;
    ImGui::GetWindowDrawList()->AddRectFilled({at.x, top}, {at.x + side, top + side}, colour, ui.px(2));
    ImGui::SetCursorPosX(x + ui.px(14));
    text(name, colour::kDim);
    if (ImGui::IsItemHovered()) ImGui::SetTooltip("%s", help);
    ImGui::SameLine();
    figure_right(ui, bytes, x + column - (i % kLegendColumns + 1 < kLegendColumns ? ui.px(12) : 0), colour::kText,
                 kSmallSize);
}

void legend(const PanelContext& ui, const MemoryLedger& ledger, ByteUnit unit) {
    const FontScope small(ui.fonts.text, kSmallSize);
    const float column = ImGui::GetContentRegionAvail().x / kLegendColumns;
    const float left = ImGui::GetCursorPosX();
    for (std::size_t i = 0; i < kKinds.size(); ++i) {
        const Kind& kind = kKinds[i];
        legend_entry(ui, i, kind.name, kind.help, kind.colour,
                     bytes_figure(ledger.keys.*kind.bytes + ledger.values.*kind.bytes, unit, 1), left, column);
    }
    if (ledger.text_bytes > 0) { // where the bars have no part of it
        legend_entry(ui, kKinds.size(), "text", "keys and values of the prompt, beside the pages; not in the bars",
                     colour::kFaint, bytes_figure(ledger.text_bytes, unit, 1), left, column);
    }
}

// The format of new pages, as a drop-down.
void format_combo(const PanelContext& ui) {
    const FormatChoice* chosen = find_format(ui.model, ui.model.format);
    const std::string shown =
        chosen ? fmt::format("{}, {:g} bit, {}", chosen->label, chosen->bits, ratio_figure(chosen->ratio, 1))
               : ui.model.format;
    ImGui::SetNextItemWidth(-1);
    ImGui::PushStyleVarY(ImGuiStyleVar_FramePadding, ui.px(2));
    const bool open = ImGui::BeginCombo("##format", shown.c_str(), ImGuiComboFlags_HeightLargest);
    ImGui::PopStyleVar();
    if (open) {
        format_list(ui);
        ImGui::EndCombo();
    } else if (ImGui::IsItemHovered()) {
        ImGui::SetTooltip(
            "Format of new pages, from the next chunk on;\nthe ratio is BF16 against a page's real bytes");
    }
}

// "3.9 of 16.1 MB" and the ratio. All on one base line.
void headline(const PanelContext& ui, const MemoryLedger& ledger, ByteUnit unit, float right) {
    const ImVec2 at = ImGui::GetCursorPos();
    const float down = ui.px(kHeadlineSize - kFigureSize) * 0.8f;
    const std::string wanted = bytes_figure(ledger.bf16_equivalent_bytes, unit, 4);
    figure(ui, bytes_figure(ledger.bytes(), unit, static_cast<int>(wanted.size())), colour::kText, kHeadlineSize);
    ImGui::SameLine(0, ui.px(6));
    ImGui::SetCursorPosY(at.y + down);
    figure(ui, fmt::format("of {} {}", wanted, unit_name(unit)), colour::kDim);
    if (ImGui::IsItemHovered()) {
        ImGui::SetTooltip("Held now, of what the same latents would need as BF16");
    }
    ImGui::SetCursorPos(at);
    figure_right(ui, ratio_figure(ledger.ratio()), right, colour::kAccent, kHeadlineSize);
}

// "packed 6.7x   scratch 1.3 MB   peak 7.0 MB" over the whole width; where rows are kept "kept 12.1 GB" comes first,
// for then new pages are not packed.
void facts(const PanelContext& ui, const MemoryLedger& ledger, ByteUnit unit, float right) {
    const FontScope scope(ui.fonts.figures, kSmallSize);
    const float left = ImGui::GetCursorPosX();
    const std::string scratch =
        fmt::format("scratch {} {}", bytes_figure(ledger.scratch_bytes, unit, 4), unit_name(unit));
    const std::string packed = fmt::format("packed {}", ratio_figure(ledger.packed_ratio(), 4));
    if (ledger.kept_row_bytes > 0) {
        text(fmt::format("kept {} {}", bytes_figure(ledger.kept_row_bytes, unit, 4), unit_name(unit)), colour::kDim);
        if (ImGui::IsItemHovered()) {
            ImGui::SetTooltip(
                "Turned keys and values, as attention reads them, kept from pass to pass while the GPU has room.\n"
                "They give way to everything else. (%s)",
                packed.c_str());
        }
    } else {
        text(packed, colour::kDim);
        if (ImGui::IsItemHovered()) ImGui::SetTooltip("BF16 against bytes of the packed pages alone");
    }
    ImGui::SameLine((left + right - ImGui::CalcTextSize(scratch.c_str()).x) / 2);
    text(scratch, colour::kDim);
    ImGui::SameLine();
    text_right(fmt::format("peak {} {}", bytes_figure(ledger.peak_bytes, unit, 4), unit_name(unit)), right,
               colour::kDim);
}

// "full window 3.2 GB   GPU 9.1 of 79.6 GB", for models whose window takes a while to fill.
void forecast_line(const PanelContext& ui, float right) {
    const CapacityForecast& forecast = ui.model.history.newest().forecast;
    const FontScope scope(ui.fonts.figures, kSmallSize);
    const ByteUnit unit = unit_for(forecast.cache_bytes);
    text(fmt::format("{} {} {}", forecast.full ? "window full" : "full window",
                     bytes_figure(forecast.cache_bytes, unit, 4), unit_name(unit)),
         colour::kDim);
    if (ImGui::IsItemHovered()) ImGui::SetTooltip("The cache once the window is full, in the format for new pages");
    if (forecast.device_total <= 0) return;
    ImGui::SameLine();
    const ByteUnit large = unit_for(forecast.device_total);
    text_right(fmt::format("GPU {} of {} {}", bytes_figure(forecast.device_bytes, large, 4),
                           bytes_figure(forecast.device_total, large, 4), unit_name(large)),
               right, forecast.fits ? colour::kDim : colour::kWarning);
    if (ImGui::IsItemHovered()) {
        const std::string most = forecast.most_latents > 0
                                     ? fmt::format("\nA window of up to {} latents would fit.", forecast.most_latents)
                                     : std::string();
        ImGui::SetTooltip("All of the GPU's memory in use by then, other programs' included, kept rows left out.%s",
                          most.c_str());
    }
}

// Bytes held by the newest chunks, below the line of what BF16 would need.
void sparkline(const PanelContext& ui, float height) {
    const auto& chunks = ui.model.history.chunks();
    std::vector<double> held;
    std::vector<double> wanted;
    double top = 1;
    for (const ChunkTelemetry& chunk : chunks) {
        held.push_back(static_cast<double>(chunk.cache_bytes));
        wanted.push_back(static_cast<double>(chunk.bf16_equivalent_bytes));
        top = std::max({top, held.back(), wanted.back()});
    }
    const ImPlotFlags flags = ImPlotFlags_CanvasOnly | ImPlotFlags_NoInputs;
    ImPlot::PushStyleVar(ImPlotStyleVar_PlotPadding, ImVec2(0, 0));
    ImPlot::PushStyleColor(ImPlotCol_PlotBg, colour::with_alpha(colour::kWell, 0.55f));
    if (ImPlot::BeginPlot("##bytes", {-1, height}, flags)) {
        ImPlot::SetupAxes(nullptr, nullptr, ImPlotAxisFlags_NoDecorations, ImPlotAxisFlags_NoDecorations);
        const auto newest = static_cast<double>(held.size());
        // The newest at the right edge, as in the plot of times.
        ImPlot::SetupAxesLimits(newest - kPlottedChunks, newest - 1, 0, top * 1.08, ImPlotCond_Always);
        const int count = static_cast<int>(held.size());
        const ImVec4 accent = ImGui::ColorConvertU32ToFloat4(colour::kAccent);
        ImPlot::PlotLine(
            "bf16", wanted.data(), count, 1, 0,
            {ImPlotProp_LineColor, ImGui::ColorConvertU32ToFloat4(colour::kFaint), ImPlotProp_LineWeight, ui.px(1)});
        ImPlot::PlotShaded("held", held.data(), count, 0, 1, 0,
                           {ImPlotProp_FillColor, accent, ImPlotProp_FillAlpha, 0.22f});
        ImPlot::PlotLine("bytes", held.data(), count, 1, 0,
                         {ImPlotProp_LineColor, accent, ImPlotProp_LineWeight, ui.px(1.5f)});
        ImPlot::EndPlot();
    }
    ImPlot::PopStyleColor();
    ImPlot::PopStyleVar();
}

} // namespace

void memory_panel(const PanelContext& ui) {
    if (!begin_panel(kMemoryPanel, &ui.preferences.show_memory)) {
        ImGui::End();
        return;
    }
    if (ui.model.history.empty()) {
        text("The cache is empty until the first chunk.", colour::kDim);
        ImGui::End();
        return;
    }
    const MemoryLedger& ledger = ui.model.history.newest().ledger;
    const std::int64_t wanted = ledger.bf16_equivalent_bytes;
    const ByteUnit unit = unit_for(std::max(wanted, ledger.bytes()));
    const float right = ImGui::GetCursorPosX() + ImGui::GetContentRegionAvail().x;

    format_combo(ui);
    headline(ui, ledger, unit, right);
    const double full = std::max({static_cast<double>(wanted) / 2, static_cast<double>(ledger.keys.total()),
                                  static_cast<double>(ledger.values.total())});
    ImGui::PushStyleVarY(ImGuiStyleVar_ItemSpacing, ui.px(3));
    kind_bar(ui, "K", "Keys", ledger.keys, full, unit);
    kind_bar(ui, "V", "Values", ledger.values, full, unit);
    ImGui::PopStyleVar();

    ImGui::PushStyleVarY(ImGuiStyleVar_ItemSpacing, ui.px(1));
    ImGui::Dummy({0, ui.px(1)});
    legend(ui, ledger, unit);
    ImGui::PopStyleVar();
    ImGui::Dummy({0, 0});

    const bool with_forecast = !ui.model.session.camera_steering || ui.model.session.takes_prompt;
    const float below = ui.px(with_forecast ? 2 * kSmallSize + 14 : kSmallSize + 8);
    sparkline(ui, std::max(ui.px(with_forecast ? 8 : 24), ImGui::GetContentRegionAvail().y - below));
    facts(ui, ledger, unit, right);
    if (with_forecast) forecast_line(ui, right);
    ImGui::End();
}

} // namespace wander::gui
