#include "generator/camera/actions.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace wander {

namespace {

constexpr double kMinRotationDegrees = 0.05;
constexpr double kAxisCosine = 0.5; // 60 degrees

// 0 none, 1 and 2 the ends of the first axis, 3 and 4 of the second, 5..8 the combinations.
int pattern(int first, int second) {
    if (first == 0) return second == 0 ? 0 : (second > 0 ? 3 : 4);
    const int base = first > 0 ? 1 : 2;
    if (second == 0) return base;
    return (first > 0 ? 5 : 7) + (second > 0 ? 0 : 1);
}

int sign_beyond(double value, double limit) { return value > limit ? 1 : (value < -limit ? -1 : 0); }

} // namespace

std::optional<Action> action_from_name(std::string_view name) {
    const auto found = std::find(kActionNames.begin(), kActionNames.end(), name);
    if (found == kActionNames.end()) return std::nullopt;
    return static_cast<Action>(found - kActionNames.begin());
}

std::vector<std::string> held_names(const ControlState& state) {
    std::vector<std::string> names;
    for (int i = 0; i < kActionCount; ++i) {
        if (state.holds(static_cast<Action>(i))) names.emplace_back(kActionNames[static_cast<std::size_t>(i)]);
    }
    return names;
}

int action_label(const Matrix4& previous, const Matrix4& current, double min_move) {
    const Matrix4 relative = multiply(rigid_inverse(previous), current);
    const double x = relative[3];
    const double y = relative[7];
    const double z = relative[11];
    const double length = std::sqrt(x * x + y * y + z * z);
    int movement = 0;
    if (length > min_move)
        movement = pattern(sign_beyond(z / length, kAxisCosine), sign_beyond(x / length, kAxisCosine));

    const double degrees = 180 / std::numbers::pi;
    const double pitch = std::atan2(relative[9], relative[10]) * degrees;
    const double yaw = std::atan2(-relative[8], std::hypot(relative[0], relative[4])) * degrees;
    const int rotation = pattern(sign_beyond(yaw, kMinRotationDegrees), sign_beyond(pitch, kMinRotationDegrees));
    return 9 * movement + rotation;
}

int action_label(const Pose& previous, const Pose& current, double min_move) {
    return action_label(camera_to_world(previous.x, previous.z, previous.yaw, previous.pitch),
                        camera_to_world(current.x, current.z, current.yaw, current.pitch), min_move);
}

int third_person_label(int label) { return label % 9 != 0 ? label % 9 : label; }

} // namespace wander
