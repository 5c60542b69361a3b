#include "generator/camera/control_axes.hpp"

#include <algorithm>

namespace wander {

namespace {

double axis(const ControlState& state, Action plus, Action minus, double stick) {
    const double keys = (state.holds(plus) ? 1.0 : 0.0) - (state.holds(minus) ? 1.0 : 0.0);
    return std::clamp(keys + stick, -1.0, 1.0);
}

constexpr float kHalfWay = 0.5F;

} // namespace

ControlAxes axes_of(const ControlState& state) {
    return {axis(state, Action::forward, Action::back, state.sticks.forward),
            axis(state, Action::right, Action::left, state.sticks.right),
            axis(state, Action::yaw_right, Action::yaw_left, state.sticks.yaw),
            axis(state, Action::pitch_up, Action::pitch_down, state.sticks.pitch)};
}

std::uint16_t whole_actions(const ControlState& state) {
    ControlState whole;
    whole.held = state.held;
    const auto push = [&](Action plus, Action minus, float stick) {
        if (stick > kHalfWay) whole.set(plus, true);
        if (stick < -kHalfWay) whole.set(minus, true);
    };
    push(Action::forward, Action::back, state.sticks.forward);
    push(Action::right, Action::left, state.sticks.right);
    push(Action::yaw_right, Action::yaw_left, state.sticks.yaw);
    push(Action::pitch_up, Action::pitch_down, state.sticks.pitch);
    return whole.held;
}

} // namespace wander
