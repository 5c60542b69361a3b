#include "gui/controls.hpp"

#include "gui/pad_map.hpp"

#include <algorithm>
#include <utility>

namespace wander::gui {

namespace {

// Text fields have no use for these, so they act while typing too.
bool acts_while_typing(const KeyBinding& binding) {
    return binding.control || (binding.key >= render::Key::f1 && binding.key <= render::Key::f12) ||
           binding.key == render::Key::escape;
}

bool acts_while_blocked(KeyCommand command) {
    return command == KeyCommand::quit || command == KeyCommand::close_overlay || command == KeyCommand::fullscreen;
}

} // namespace

void Controls::handle(const render::WindowEvent& event, const InputGate& gate, float mouse_rad_per_unit) {
    if (const auto* key = std::get_if<render::KeyEvent>(&event)) {
        on_key(*key, gate);
    } else if (const auto* button = std::get_if<render::MouseButtonEvent>(&event)) {
        if (button->button == render::MouseButton::right) {
            looking_ = false;
            pressed_.reset();
            if (button->down && !gate.blocked) pressed_.emplace();
        }
    } else if (const auto* move = std::get_if<render::MouseMoveEvent>(&event)) {
        // The screen's y grows downwards.
        on_move({static_cast<float>(move->dx) * mouse_rad_per_unit, -static_cast<float>(move->dy) * mouse_rad_per_unit,
                 move->at_seconds});
    } else if (const auto* focus = std::get_if<render::FocusEvent>(&event)) {
        focused_ = focus->focused;
        if (!focus->focused) {
            release_all(state_.changed_at_seconds);
        }
    }
}

void Controls::on_move(const Travel& travel) {
    if (looking_) {
        state_.mouse_yaw_rad += travel.yaw_rad;
        state_.mouse_pitch_rad += travel.pitch_rad;
        state_.changed_at_seconds = std::max(state_.changed_at_seconds, travel.at_seconds);
    } else if (pressed_) {
        pressed_ =
            Travel{pressed_->yaw_rad + travel.yaw_rad, pressed_->pitch_rad + travel.pitch_rad, travel.at_seconds};
    }
}

void Controls::settle_look(bool over_world) {
    if (!pressed_) return;
    const Travel waited = *std::exchange(pressed_, std::nullopt);
    looking_ = over_world;
    if (waited.yaw_rad != 0 || waited.pitch_rad != 0) on_move(waited);
}

bool Controls::pad(const render::GamepadState& pad, const InputGate& gate, double at_seconds) {
    const StickPosition sticks = focused_ && !gate.blocked ? stick_position(pad) : StickPosition{};
    const bool moved = sticks != state_.sticks;
    if (moved) {
        state_.sticks = sticks;
        state_.changed_at_seconds = at_seconds;
    }
    const std::uint32_t pressed = pad.buttons & ~pad_buttons_;
    pad_buttons_ = pad.buttons;
    if (!focused_) {
        return moved;
    }
    for (const PadBinding& binding : pad_bindings()) {
        if (((pressed >> binding.button) & 1U) != 0 && (!gate.blocked || acts_while_blocked(binding.command))) {
            commands_.push_back(binding.command);
        }
    }
    return moved || pressed != 0;
}

void Controls::on_key(const render::KeyEvent& event, const InputGate& gate) {
    if (!event.down) {
        std::erase(keys_down_, event.key);
        update_held(event.at_seconds);
        return;
    }
    if (event.repeat || event.alt) {
        return;
    }
    const KeyBinding* binding = find_binding(event.key, event.control);
    if (!binding || (gate.typing && !acts_while_typing(*binding))) {
        return;
    }
    if (const auto* command = std::get_if<KeyCommand>(&binding->effect)) {
        if (!gate.blocked || acts_while_blocked(*command)) {
            commands_.push_back(*command);
        }
    } else if (!gate.blocked && std::ranges::find(keys_down_, event.key) == keys_down_.end()) {
        keys_down_.push_back(event.key);
        update_held(event.at_seconds);
    }
}

void Controls::update_held(double at_seconds) {
    std::uint16_t before = state_.held;
    state_.held = 0;
    for (const render::Key key : keys_down_) {
        if (const KeyBinding* binding = find_binding(key, false)) {
            if (const auto* action = std::get_if<Action>(&binding->effect)) {
                state_.set(*action, true);
            }
        }
    }
    if (state_.held != before) {
        state_.changed_at_seconds = at_seconds;
    }
}

void Controls::release_all(double at_seconds) {
    keys_down_.clear();
    state_.sticks = {};
    looking_ = false;
    pressed_.reset();
    update_held(at_seconds);
}

ControlState Controls::take_state() {
    const ControlState state = state_;
    state_.mouse_yaw_rad = 0;
    state_.mouse_pitch_rad = 0;
    return state;
}

std::vector<KeyCommand> Controls::take_commands() { return std::exchange(commands_, {}); }

} // namespace wander::gui
