#pragma once
// Names of held actions, and the discrete action label that networks of the HY-WorldPlay kind take. No torch.
//
// The label says how the camera really moved between two latents, not which keys were held: a step into a wall has
// none. label = 9 * movement + rotation, each 0..8: none, first, its opposite, second, its opposite, then the four
// combinations; movement in the order forward, back, right, left, rotation in the order right, left, up, down.
// Pure functions, any thread.

#include "generator/camera/prope.hpp"
#include "generator/plain/control_state.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wander {

std::optional<Action> action_from_name(std::string_view name);
std::vector<std::string> held_names(const ControlState& state);

// From two camera-to-world matrices. A translation shorter than `min_move` is none; directions count within 60 degrees
// of an axis of the earlier camera, rotations from 0.05 degrees on.
int action_label(const Matrix4& previous, const Matrix4& current, double min_move = 1e-4);
// The same for poses on the ground.
int action_label(const Pose& previous, const Pose& current, double min_move = 1e-4);
// Seen from behind a figure, a latent that turns has no movement.
int third_person_label(int label);

} // namespace wander
