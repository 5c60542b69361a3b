#pragma once
// Held keys and pad sticks as four axes of -1..1. No torch; pure function, any thread.

#include "generator/plain/control_state.hpp"

#include <cstdint>

namespace wander {

struct ControlAxes {
    double forward = 0;
    double right = 0;
    double yaw = 0;   // right positive
    double pitch = 0; // up positive
};

// A key counts as a stick at its end; a key and a stick add up, but never to more than a key alone.
ControlAxes axes_of(const ControlState& state);

// For who knows no halves, such as a camera's words in a prompt: bits as in ControlState::held, the keys, and
// sticks that are pushed more than half way.
std::uint16_t whole_actions(const ControlState& state);

} // namespace wander
