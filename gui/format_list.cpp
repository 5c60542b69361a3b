#include "gui/plain/figures.hpp"
#include "gui/widgets.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace wander::gui {

namespace {

// Columns in the fixed-width font, so that bits and ratios stand below each other.
std::string figures_of(const FormatChoice& format) {
    return format.refusal.empty()
               ? fmt::format("{:>5} bit {}", fmt::format("{:g}", format.bits), ratio_figure(format.ratio, 6))
               : fmt::format("{:>16}", "not here");
}

void format_tooltip(const PanelContext& ui, const FormatChoice& format) {
    ImGui::BeginTooltip();
    ImGui::PushTextWrapPos(ui.px(360));
    text(fmt::format("{}  ({})", format.label, family_name(family_of(format.name, format.bits))));
    if (format.refusal.empty()) {
        text(fmt::format("--cache {}: codes of {:g} bit a value; with scales and tables pages are {} smaller than BF16",
                         format.name, format.bits, ratio_figure(format.ratio, 1)),
             colour::kDim);
    } else {
        text(format.refusal, colour::kWarning);
    }
    ImGui::PopTextWrapPos();
    ImGui::EndTooltip();
}

void format_line(const PanelContext& ui, const FormatChoice& format, float label_width) {
    const bool usable = format.refusal.empty();
    const float square = ui.px(8);
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const float left = ImGui::GetCursorPosX();
    const float line = ImGui::GetTextLineHeight();
    const std::string figures = figures_of(format);
    float figures_width = 0;
    {
        const FontScope scope(ui.fonts.figures, kFigureSize);
        figures_width = ImGui::CalcTextSize(figures.c_str()).x;
    }
    const float width = std::max(ImGui::GetContentRegionAvail().x, ui.px(16) + label_width + ui.px(14) + figures_width);
    ImGui::BeginDisabled(!usable);
    const std::string id = "##" + format.name;
    if (ImGui::Selectable(id.c_str(), format.name == ui.model.format, ImGuiSelectableFlags_None, {width, line})) {
        ui.commands.format = format.name;
    }
    ImGui::EndDisabled();
    if (ImGui::IsItemHovered(ImGuiHoveredFlags_AllowWhenDisabled)) {
        format_tooltip(ui, format);
    }
    const float top = at.y + (line - square) / 2;
    const ImU32 swatch = colour::of_family(family_of(format.name, format.bits));
    ImGui::GetWindowDrawList()->AddRectFilled({at.x, top}, {at.x + square, top + square},
                                              colour::with_alpha(swatch, usable ? 1.0f : 0.35f), ui.px(2));
    ImGui::SameLine(left + ui.px(16));
    text(format.label, usable ? colour::kText : colour::kFaint);
    ImGui::SameLine(left + ui.px(16) + label_width + ui.px(14));
    figure(ui, figures, usable ? colour::kDim : colour::kFaint);
}

} // namespace

void format_list(const PanelContext& ui) {
    float label_width = 0;
    for (const FormatChoice& format : ui.model.session.formats) {
        label_width = std::max(label_width, ImGui::CalcTextSize(format.label.c_str()).x);
    }
    for (const FormatChoice& format : ui.model.session.formats) {
        format_line(ui, format, label_width);
    }
}

void bias_correction_tooltip() {
    ImGui::SetTooltip(
        "Noisy keys draw attention away from exact ones; this takes the mean of that back.\n"
        "Pages packed while it was off carry no noise figure and stay uncorrected.");
}

} // namespace wander::gui
