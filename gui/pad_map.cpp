#include "gui/pad_map.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace wander::gui {

namespace {

constexpr float kDeadZone = 0.18F; // of a stick's way; worn pads rest up to about 0.15 off their middle

enum PadButton : std::uint32_t { a, b, x, y, left_bumper, right_bumper, back, start, up = 11, right, down, left };

constexpr std::array kBindings = {
    PadBinding{a, KeyCommand::toggle_cache, "A", "cache BF16 <-> INT2"},
    PadBinding{b, KeyCommand::rewind, "B", "back by one chunk"},
    PadBinding{x, KeyCommand::screenshot, "X", "screenshot as PNG"},
    PadBinding{y, KeyCommand::record, "Y", "record an MP4, stop"},
    PadBinding{left_bumper, KeyCommand::hide_panels, "LB", "hide all panels, show them"},
    PadBinding{right_bumper, KeyCommand::step, "RB", "one chunk, then pause"},
    PadBinding{back, KeyCommand::restart, "Back", "start again"},
    PadBinding{start, KeyCommand::pause, "Start", "pause, go on"},
};

bool holds(const render::GamepadState& pad, PadButton button) { return ((pad.buttons >> button) & 1U) != 0; }

// Both axes together: a stick pushed straight ahead must not lose its way for a little sideways.
std::pair<float, float> outside_dead_zone(float x, float y) {
    const float length = std::hypot(x, y);
    if (!(length > kDeadZone)) return {0.0F, 0.0F};
    const float scale = std::min((length - kDeadZone) / (1 - kDeadZone), 1.0F) / length;
    return {x * scale, y * scale};
}

float arrow(bool plus, bool minus) { return (plus ? 1.0F : 0.0F) - (minus ? 1.0F : 0.0F); }

} // namespace

std::span<const PadBinding> pad_bindings() { return kBindings; }

StickPosition stick_position(const render::GamepadState& pad) {
    if (!pad.connected) return {};
    const auto [right_of_walk, down_of_walk] = outside_dead_zone(pad.left_x, pad.left_y);
    const auto [right_of_look, down_of_look] = outside_dead_zone(pad.right_x, pad.right_y);
    const float ahead = arrow(holds(pad, up), holds(pad, down)) - down_of_walk;
    const float aside = arrow(holds(pad, right), holds(pad, left)) + right_of_walk;
    return {std::clamp(ahead, -1.0F, 1.0F), std::clamp(aside, -1.0F, 1.0F), right_of_look, -down_of_look};
}

} // namespace wander::gui
