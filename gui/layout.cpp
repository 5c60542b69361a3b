#include "gui/layout.hpp"

#include <imgui_internal.h>

#include <algorithm>

namespace wander::gui {

namespace {

// Grows when panels or their first-run places change in a way that old layouts do not fit.
constexpr std::string_view kLayoutVersion = "; wander layout 3\n";

// Sized for 1280 x 720: everything can be read without scrolling.
constexpr float kColumnWidth = 336;
constexpr float kMemoryShare = 0.325f;
constexpr float kLatencyShare = 0.33f;

void build_first_layout(ImGuiID root, ImVec2 size, float scale) {
    ImGui::DockBuilderRemoveNode(root);
    ImGui::DockBuilderAddNode(root, ImGuiDockNodeFlags_DockSpace);
    ImGui::DockBuilderSetNodeSize(root, size);
    const float column = std::clamp(kColumnWidth * scale / std::max(size.x, 1.0f), 0.1f, 0.5f);
    ImGuiID world = root;
    ImGuiID right = ImGui::DockBuilderSplitNode(world, ImGuiDir_Right, column, nullptr, &world);
    ImGuiID rest = right;
    const ImGuiID memory = ImGui::DockBuilderSplitNode(rest, ImGuiDir_Up, kMemoryShare, nullptr, &rest);
    const ImGuiID latency =
        ImGui::DockBuilderSplitNode(rest, ImGuiDir_Up, kLatencyShare / (1 - kMemoryShare), nullptr, &rest);
    ImGui::DockBuilderDockWindow(kMemoryPanel, memory);
    ImGui::DockBuilderDockWindow(kLatencyPanel, latency);
    ImGui::DockBuilderDockWindow(kWorldPanel, rest); // two tabs
    ImGui::DockBuilderDockWindow(kSessionPanel, rest);
    ImGui::DockBuilderFinish(root);
}

} // namespace

render::Rect dock_space(bool hidden, bool reset, float scale) {
    const ImGuiViewport* viewport = ImGui::GetMainViewport();
    const ImGuiID root = ImGui::GetID("world and panels");
    if (reset || !ImGui::DockBuilderGetNode(root)) {
        build_first_layout(root, viewport->WorkSize, scale);
    }
    ImGuiDockNodeFlags flags = ImGuiDockNodeFlags_PassthruCentralNode | ImGuiDockNodeFlags_NoDockingOverCentralNode;
    if (hidden) {
        flags |= ImGuiDockNodeFlags_KeepAliveOnly;
    }
    ImGui::DockSpaceOverViewport(root, viewport, flags);
    const ImGuiDockNode* world = ImGui::DockBuilderGetCentralNode(root);
    if (hidden || !world) {
        return {viewport->Pos.x, viewport->Pos.y, viewport->Size.x, viewport->Size.y};
    }
    return {world->Pos.x, world->Pos.y, world->Size.x, world->Size.y};
}

bool begin_panel(const char* title, bool* open) {
    // The tab has a close button already; one more at the end of the bar would look the same and do the same.
    ImGuiWindowClass panel;
    panel.DockNodeFlagsOverrideSet = ImGuiDockNodeFlags_NoCloseButton | ImGuiDockNodeFlags_NoWindowMenuButton;
    ImGui::SetNextWindowClass(&panel);
    return ImGui::Begin(title, open);
}

bool bring_to_front(const char* title) {
    ImGuiWindow* window = ImGui::FindWindowByName(title);
    if (!window) return true; // put away by the person
    const ImGuiDockNode* node = window->DockNode;
    if (!node && window->DockId == 0) return true; // floats
    if (!node || !node->TabBar) return false;
    // The focused window decides which tab is seen, whatever the tab bar was told. A dialog keeps the focus.
    if (ImGui::IsPopupOpen("", ImGuiPopupFlags_AnyPopupId | ImGuiPopupFlags_AnyPopupLevel)) return false;
    const bool seen = node->VisibleWindow == window && node->TabBar->SelectedTabId == window->TabId &&
                      !window->Appearing && ImGui::GetCurrentContext()->NavWindow == window;
    if (!seen) ImGui::FocusWindow(window);
    return seen;
}

bool is_in_front(const char* title) {
    const ImGuiWindow* window = ImGui::FindWindowByName(title);
    return window && window->Active && (!window->DockNode || window->DockNode->VisibleWindow == window);
}

std::string_view strip_layout_version(std::string_view text) {
    return text.starts_with(kLayoutVersion) ? text.substr(kLayoutVersion.size()) : std::string_view{};
}

std::string with_layout_version(std::string_view ini) { return std::string(kLayoutVersion) + std::string(ini); }

} // namespace wander::gui
