#pragma once
// The docking layout: world in the middle, a column of panels to the right, as of the first run. Room-internal.

#include <string>
#include <string_view>

#include "gui/theme.hpp"

namespace wander::gui {

inline constexpr const char* kMemoryPanel = "KV memory";
inline constexpr const char* kLatencyPanel = "Chunk latency";
inline constexpr const char* kWorldPanel = "World";
inline constexpr const char* kSessionPanel = "Session";

// Submits the dock space over what menu and timeline leave; builds the first-run layout when there is none or `reset`.
// Returns the world's rectangle. With `hidden` the panels keep their places and the whole window is the world.
render::Rect dock_space(bool hidden, bool reset, float scale);

// ImGui::Begin of a dockable panel; always followed by ImGui::End.
bool begin_panel(const char* title, bool* open);

// Where the panel is a tab among others, it becomes the one that is seen. False: it is not laid out yet; ask again in
// the next frame.
bool bring_to_front(const char* title);
// Is it a tab that is seen, or no tab at all?
bool is_in_front(const char* title);

// Layout texts carry a version: one of an older arrangement is not taken. Empty when it does not fit.
std::string_view strip_layout_version(std::string_view text);
std::string with_layout_version(std::string_view ini);

} // namespace wander::gui
