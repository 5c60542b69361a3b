#pragma once
// The panels, bars and overlays, one function and one .cpp file each. Room-internal; inside an ImGui frame only.
//
// They read the model, write commands and preferences, and keep no state but what ImGui keeps.

#include "gui/panels/prompt_section.hpp"
#include "gui/theme.hpp"

#include <array>
#include <deque>
#include <string>

namespace wander::gui {

// What lies on top, and its text fields. Owned by Gui.
struct OverlayState {
    bool show_keys = false;
    bool ask_model_folder = false; // opens the dialog in the next frame
    bool show_card = false;        // the world panel shows the card instead of the places
    std::string shown_start;       // start point whose picture was last brought into view
    // World and session share a place at first: which of them is seen.
    std::string tab_of;             // model that it was last chosen for
    const char* bring = nullptr;    // is to be seen as soon as it can be
    const char* in_front = nullptr; // was seen last
    std::array<char, 1024> model_folder{};
    bool escape = false; // in this frame: the topmost dialog closes
    bool show_about = false;
    std::string dismissed_failure; // text of the failure that was put away
    bool reset_layout = false;
    bool hide_panels = false;
};

struct Toast {
    ToastKind kind = ToastKind::info;
    std::string text;
    double born_at = -1; // ImGui time of the first frame that showed it
};

void menu_bar(const PanelContext& ui, OverlayState& overlay);
void timeline_bar(const PanelContext& ui);
void memory_panel(const PanelContext& ui);
void latency_panel(const PanelContext& ui);
void world_panel(const PanelContext& ui, OverlayState& overlay);
void session_panel(const PanelContext& ui, PromptDraft& draft);
void hud(const PanelContext& ui);
// Old toasts leave the queue.
void toasts(const PanelContext& ui, std::deque<Toast>& queue);
void key_overlay(const PanelContext& ui, bool& open);
void failure_dialog(const PanelContext& ui, OverlayState& overlay);
void model_dialog(const PanelContext& ui, OverlayState& overlay);
void about_dialog(const PanelContext& ui, OverlayState& overlay);

} // namespace wander::gui
