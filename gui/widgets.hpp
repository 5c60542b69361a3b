#pragma once
// Small drawing helpers that several panels share. Room-internal; inside an ImGui frame only.

#include "gui/theme.hpp"

#include <span>
#include <string_view>

namespace wander::gui {

// Pushes a font and size (unscaled) for the scope.
class FontScope {
public:
    FontScope(ImFont* font, float size) { ImGui::PushFont(font, size); }
    ~FontScope() { ImGui::PopFont(); }
    FontScope(const FontScope&) = delete;
    FontScope& operator=(const FontScope&) = delete;
};

void text(std::string_view s, ImU32 colour = colour::kText);
// Ends at `right` (window coordinates as GetCursorPosX), on the current line.
void text_right(std::string_view s, float right, ImU32 colour = colour::kText);
// In the fixed-width font.
void figure(const PanelContext& ui, std::string_view s, ImU32 colour = colour::kText, float size = kFigureSize);
void figure_right(const PanelContext& ui, std::string_view s, float right, ImU32 colour = colour::kText,
                  float size = kFigureSize);

ImVec2 text_size(ImFont* font, float scaled_size, std::string_view s);
void draw_text(ImDrawList& list, ImFont* font, float scaled_size, ImVec2 at, ImU32 colour, std::string_view s);

struct BarPart {
    double value = 0;
    ImU32 colour = 0;
};
// Parts side by side over a well that stands for `full`; takes the rest of the line, `height` pixels high. True when
// hovered.
bool stacked_bar(const char* id, std::span<const BarPart> parts, double full, float height, float rounding);

// One key of a keyboard; lit while held. `arrow` instead of a label when not ImGuiDir_None.
void keycap(ImDrawList& list, const PanelContext& ui, ImVec2 at, ImVec2 size, std::string_view label, ImGuiDir arrow,
            bool lit);

// Keeps one line's height free at the bottom of the visible text: "label ....... figure".
void fact_row(const PanelContext& ui, std::string_view label, std::string_view value, ImU32 colour = colour::kText);

// One line for each cache format: colour, name, bits, ratio; refused ones are grey and say why. A click writes the
// command. Inside a menu or an open combo box.
void format_list(const PanelContext& ui);
// What the bias correction does and to which pages, as a tooltip of the last item.
void bias_correction_tooltip();

} // namespace wander::gui
