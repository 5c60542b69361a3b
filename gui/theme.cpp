#include "gui/theme.hpp"

#include <implot.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace wander::gui {

namespace colour {

ImU32 with_alpha(ImU32 colour, float alpha) {
    const auto a = static_cast<ImU32>(std::lround(static_cast<float>(colour >> IM_COL32_A_SHIFT) * alpha));
    return (colour & ~IM_COL32_A_MASK) | (a << IM_COL32_A_SHIFT);
}

ImU32 of_family(FormatFamily family) {
    constexpr std::array<ImU32, kFormatFamilies> kColours = {kUncompressed, kSeriesViolet, kSeriesGold,
                                                             kSeriesSky,    kSeriesRose,   kAccent,
                                                             kSeriesGreen,  kSeriesOrange, kSeriesSlate};
    return kColours[static_cast<std::size_t>(family)];
}

} // namespace colour

namespace {

ImFont* load_font(const std::filesystem::path& file, float vertical_shift) {
    ImFontAtlas* atlas = ImGui::GetIO().Fonts;
    ImFontConfig config;
    config.Flags |= ImFontFlags_NoLoadError;
    config.GlyphOffset.y = vertical_shift;
    ImFont* font = atlas->AddFontFromFileTTF(file.string().c_str(), kTextSize, &config);
    return font ? font : atlas->AddFontDefault();
}

void set(ImGuiStyle& style, std::initializer_list<ImGuiCol> slots, ImU32 value) {
    for (const ImGuiCol slot : slots) {
        style.Colors[slot] = ImGui::ColorConvertU32ToFloat4(value);
    }
}

void set_colours(ImGuiStyle& style) {
    using namespace colour;
    const ImU32 none = IM_COL32_BLACK_TRANS;
    set(style, {ImGuiCol_Text}, kText);
    set(style, {ImGuiCol_TextDisabled}, kFaint);
    set(style, {ImGuiCol_WindowBg}, kPanel);
    set(style, {ImGuiCol_ChildBg, ImGuiCol_BorderShadow, ImGuiCol_ScrollbarBg, ImGuiCol_TableRowBg}, none);
    set(style, {ImGuiCol_PopupBg}, IM_COL32(26, 28, 33, 250));
    set(style, {ImGuiCol_Border, ImGuiCol_TableBorderLight, ImGuiCol_TableBorderStrong, ImGuiCol_Separator}, kLine);
    set(style, {ImGuiCol_FrameBg, ImGuiCol_PlotLines}, kWell);
    set(style, {ImGuiCol_FrameBgHovered, ImGuiCol_HeaderHovered, ImGuiCol_ButtonHovered}, kHover);
    set(style, {ImGuiCol_FrameBgActive, ImGuiCol_HeaderActive, ImGuiCol_ButtonActive}, kPressed);
    set(style, {ImGuiCol_Button, ImGuiCol_Header}, kWell);
    set(style, {ImGuiCol_TitleBg, ImGuiCol_TitleBgActive, ImGuiCol_TitleBgCollapsed, ImGuiCol_Tab, ImGuiCol_TabDimmed},
        kPanel);
    set(style, {ImGuiCol_TabSelected, ImGuiCol_TabDimmedSelected}, kPanel);
    set(style, {ImGuiCol_TabHovered}, kHover);
    set(style, {ImGuiCol_TabSelectedOverline, ImGuiCol_TabDimmedSelectedOverline}, none);
    set(style, {ImGuiCol_MenuBarBg}, kBar);
    set(style, {ImGuiCol_ScrollbarGrab}, kHover);
    set(style, {ImGuiCol_ScrollbarGrabHovered, ImGuiCol_ScrollbarGrabActive}, kPressed);
    set(style,
        {ImGuiCol_CheckMark, ImGuiCol_SliderGrab, ImGuiCol_SliderGrabActive, ImGuiCol_TextLink,
         ImGuiCol_InputTextCursor},
        kAccent);
    set(style, {ImGuiCol_SeparatorHovered, ImGuiCol_SeparatorActive, ImGuiCol_TextSelectedBg}, kAccentDeep);
    set(style, {ImGuiCol_ResizeGrip}, none);
    set(style, {ImGuiCol_ResizeGripHovered, ImGuiCol_ResizeGripActive}, kAccentDeep);
    set(style, {ImGuiCol_DockingPreview}, with_alpha(kAccent, 0.45f));
    set(style, {ImGuiCol_DockingEmptyBg}, kBackground);
    set(style, {ImGuiCol_NavCursor, ImGuiCol_DragDropTarget}, kAccent);
    set(style, {ImGuiCol_ModalWindowDimBg}, IM_COL32(8, 9, 11, 170));
}

} // namespace

Fonts load_fonts(const std::filesystem::path& folder) {
    Fonts fonts;
    fonts.text = load_font(folder / "Roboto-Regular.ttf", 0);
    fonts.bold = load_font(folder / "Roboto-Bold.ttf", 0);
    // Inconsolata sits lower than Roboto on the same line.
    fonts.figures = load_font(folder / "Inconsolata-Medium.ttf", -1.0f);
    ImGui::GetIO().FontDefault = fonts.text;
    return fonts;
}

void apply_theme(float scale) {
    ImGuiStyle style;
    set_colours(style);
    style.FontSizeBase = kTextSize;
    style.WindowPadding = {12, 7};
    style.FramePadding = {8, 4};
    style.ItemSpacing = {8, 6};
    style.ItemInnerSpacing = {6, 4};
    style.CellPadding = {4, 1};
    style.WindowRounding = 6;
    style.ChildRounding = 4;
    style.PopupRounding = 6;
    style.FrameRounding = 4;
    style.GrabRounding = 4;
    style.TabRounding = 0;
    style.TabBarBorderSize = 0;
    style.TabBarOverlineSize = 0;
    style.TabCloseButtonMinWidthSelected = style.TabCloseButtonMinWidthUnselected = 0; // only under the mouse
    style.WindowBorderSize = 0;
    style.PopupBorderSize = 1;
    style.ScrollbarSize = 9;
    style.DockingSeparatorSize = 2;
    style.WindowMenuButtonPosition = ImGuiDir_None;
    style.SeparatorTextBorderSize = 1;
    style.DisabledAlpha = 0.45f;
    style.HoverDelayShort = 0.05f;
    style.ScaleAllSizes(scale);
    style.FontScaleDpi = scale;
    ImGui::GetStyle() = style;

    ImPlotStyle& plot = ImPlot::GetStyle();
    plot = ImPlotStyle();
    plot.PlotPadding = {0, 2 * scale};
    plot.LabelPadding = {4 * scale, 2 * scale};
    plot.PlotBorderSize = 0;
    plot.PlotMinSize = {40 * scale, 20 * scale};
    plot.Colors[ImPlotCol_FrameBg] = plot.Colors[ImPlotCol_PlotBorder] = {0, 0, 0, 0};
    plot.Colors[ImPlotCol_PlotBg] = {0, 0, 0, 0};
    plot.Colors[ImPlotCol_AxisBg] = {0, 0, 0, 0};
    plot.Colors[ImPlotCol_AxisText] = ImGui::ColorConvertU32ToFloat4(colour::kFaint);
    plot.Colors[ImPlotCol_AxisGrid] = ImGui::ColorConvertU32ToFloat4(colour::kLine);
    plot.MajorGridSize = plot.MinorGridSize = {1, 1};
    plot.MajorTickLen = plot.MinorTickLen = {0, 0};
}

const FormatChoice* find_format(const UiModel& model, std::string_view format) {
    const auto& formats = model.session.formats;
    const auto it = std::ranges::find(formats, format, &FormatChoice::name);
    return it == formats.end() ? nullptr : &*it;
}

FormatFamily family_in(const UiModel& model, std::string_view format) {
    const FormatChoice* choice = find_format(model, format);
    return family_of(format, choice ? choice->bits : 16);
}

std::string format_label(const UiModel& model, std::string_view format) {
    const FormatChoice* choice = find_format(model, format);
    return choice ? choice->label : std::string(format);
}

} // namespace wander::gui
