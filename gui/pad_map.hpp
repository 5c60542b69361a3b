#pragma once
// What a gamepad's sticks and buttons mean: the one table, for the pad itself and for the lists of keys. Pure data, no
// thread rules.

#include "generator/plain/control_state.hpp"
#include "gui/key_map.hpp"
#include "render/plain/window_events.hpp"

#include <cstdint>
#include <span>
#include <string_view>

namespace wander::gui {

// Buttons as GamepadState numbers them; names as on an Xbox pad.
struct PadBinding {
    std::uint32_t button = 0; // bit number
    KeyCommand command = KeyCommand::pause;
    std::string_view name;
    std::string_view help;
};

std::span<const PadBinding> pad_bindings();

inline constexpr std::string_view kPadSticks = "Left stick, right stick";
inline constexpr std::string_view kPadSticksHelp = "walk, look around";

// A stick at rest never stands quite still, so a circle in the middle counts as nothing; beyond it a stick starts at 0
// again. The cross of arrow buttons is a left stick at its end.
StickPosition stick_position(const render::GamepadState& pad);

} // namespace wander::gui
