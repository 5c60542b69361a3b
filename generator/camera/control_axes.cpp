#include "generator/camera/control_axes.hpp"

#include <algorithm>

namespace wander {

namespace {

double axis(const ControlState& state, Action plus, Action minus, double stick) {
    const double keys = (state.holds(plus) ? 1.0 : 0.0) - (state.holds(minus) ? 1.0 : 0.0);
    return std::clamp(keys + stick, -1.0, 1.0);
}

} // namespace

ControlAxes axes_of(const ControlState& state) {
    return {axis(state, Action::forward, Action::back, state.sticks.forward),
            axis(state, Action::right, Action::left, state.sticks.right),
            axis(state, Action::yaw_right, Action::yaw_left, state.sticks.yaw),
            axis(state, Action::pitch_up, Action::pitch_down, state.sticks.pitch)};
}

} // namespace wander
