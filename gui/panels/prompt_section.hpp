#pragma once
// The prompt of a text model: editing it, what the keys add to it, what the chunk on screen was made under.

#include "gui/theme.hpp"

#include <array>
#include <string>

namespace wander::gui {

// What is being typed. Owned by Gui.
struct PromptDraft {
    std::array<char, 16384> text{};
    std::string followed; // the walk's prompt that the draft was last taken from
    std::string taken;    // what of it found room: a longer one is cut between two characters
};

void prompt_section(const PanelContext& ui, PromptDraft& draft);

} // namespace wander::gui
