#pragma once
// Colours, spacing and fonts: calm and dark, one accent. Room-internal; needs ImGui.
//
// Sizes are written for a plain monitor and multiplied by `scale` in apply_theme.

#include <imgui.h>

#include <filesystem>
#include <string_view>
#include <vector>

#include "gui/plain/format_family.hpp"
#include "gui/plain/ui_model.hpp"

namespace wander::gui {

namespace colour {
inline constexpr ImU32 kBackground = IM_COL32(14, 15, 17, 255); // around the picture, between panels
inline constexpr ImU32 kPanel = IM_COL32(21, 23, 27, 255);
inline constexpr ImU32 kBar = IM_COL32(17, 18, 21, 255);  // menu and timeline
inline constexpr ImU32 kWell = IM_COL32(31, 34, 39, 255); // empty part of a bar, plot background
inline constexpr ImU32 kHover = IM_COL32(43, 47, 54, 255);
inline constexpr ImU32 kPressed = IM_COL32(54, 59, 67, 255);
inline constexpr ImU32 kLine = IM_COL32(38, 41, 47, 255);
inline constexpr ImU32 kText = IM_COL32(218, 222, 227, 255);
inline constexpr ImU32 kDim = IM_COL32(140, 148, 158, 255);
inline constexpr ImU32 kFaint = IM_COL32(88, 95, 104, 255);
inline constexpr ImU32 kAccent = IM_COL32(99, 210, 191, 255);
inline constexpr ImU32 kAccentDeep = IM_COL32(38, 92, 86, 255);
inline constexpr ImU32 kRecord = IM_COL32(232, 84, 84, 255);
inline constexpr ImU32 kWarning = IM_COL32(224, 177, 94, 255);
inline constexpr ImU32 kShade = IM_COL32(10, 11, 13, 165); // behind text over the picture
// Series of bars and plots.
inline constexpr ImU32 kSeriesBlue = IM_COL32(66, 133, 160, 255);
inline constexpr ImU32 kSeriesGold = IM_COL32(214, 170, 96, 255);
inline constexpr ImU32 kSeriesViolet = IM_COL32(146, 131, 200, 255);
inline constexpr ImU32 kSeriesSlate = IM_COL32(104, 117, 133, 255);
inline constexpr ImU32 kUncompressed = IM_COL32(92, 117, 144, 255);
inline constexpr ImU32 kSeriesRose = IM_COL32(214, 118, 148, 255);
inline constexpr ImU32 kSeriesGreen = IM_COL32(128, 184, 96, 255);
inline constexpr ImU32 kSeriesOrange = IM_COL32(222, 128, 74, 255);
inline constexpr ImU32 kSeriesSky = IM_COL32(84, 164, 226, 255);

ImU32 with_alpha(ImU32 colour, float alpha);
ImU32 of_family(FormatFamily family);
} // namespace colour

// Unscaled sizes in pixels.
inline constexpr float kTextSize = 15.0f;
inline constexpr float kSmallSize = 13.0f;
inline constexpr float kFigureSize = 15.0f;
inline constexpr float kHeadlineSize = 23.0f;

struct Fonts {
    ImFont* text = nullptr;
    ImFont* bold = nullptr;
    ImFont* figures = nullptr; // fixed width
};

// Into the current context; a font that cannot be read is replaced by ImGui's own.
Fonts load_fonts(const std::filesystem::path& folder);
void apply_theme(float scale);

// What every panel is given.
struct PanelContext {
    const UiModel& model;
    UiCommands& commands;
    UiPreferences& preferences;
    const Fonts& fonts;
    float scale = 1;
    ControlState controls;
    render::Rect world;

    float px(float unscaled) const { return unscaled * scale; }
};

// By registry name; nullptr when the model does not list it.
const FormatChoice* find_format(const UiModel& model, std::string_view format);
FormatFamily family_in(const UiModel& model, std::string_view format);
// "INT2 four-level", or the name itself.
std::string format_label(const UiModel& model, std::string_view format);

} // namespace wander::gui
