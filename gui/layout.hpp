#pragma once
// The docking layout: world in the middle, a column of panels to the right, as of the first run. Room-internal.

#include <string>
#include <string_view>

#include "gui/theme.hpp"

namespace wander::gui {

inline constexpr const char* kMemoryPanel = "KV memory";
inline constexpr const char* kLatencyPanel = "Chunk latency";
inline constexpr const char* kSessionPanel = "Session";

// Submits the dock space over what menu and timeline leave; builds the first-run layout when there is none or `reset`.
// Returns the world's rectangle. With `hidden` the panels keep their places and the whole window is the world.
render::Rect dock_space(bool hidden, bool reset, float scale);

// ImGui::Begin of a dockable panel; always followed by ImGui::End.
bool begin_panel(const char* title, bool* open);

// Layout texts carry a version: one of an older arrangement is not taken. Empty when it does not fit.
std::string_view strip_layout_version(std::string_view text);
std::string with_layout_version(std::string_view ini);

} // namespace wander::gui
