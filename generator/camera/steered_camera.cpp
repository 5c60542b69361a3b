#include "generator/camera/steered_camera.hpp"

#include "generator/camera/control_axes.hpp"

#include <algorithm>
#include <cmath>

namespace wander {

namespace {

Matrix4 roll_about_view(double roll) {
    const double c = std::cos(roll);
    const double s = std::sin(roll);
    return {c, -s, 0, 0, s, c, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
}

} // namespace

// R = Ry(yaw) Rx(pitch) Rz(roll): its last column is the view, its second row cos(pitch) (sin(roll), cos(roll)).
SteeredCamera::SteeredCamera(const LatentCamera& start, const SteeringRules& rules)
    : rules_(rules),
      camera_(start),
      x_(start.camera_to_world[3]),
      y_(start.camera_to_world[7]),
      z_(start.camera_to_world[11]),
      yaw_(std::atan2(start.camera_to_world[2], start.camera_to_world[10])),
      pitch_(std::asin(std::clamp(-start.camera_to_world[6], -1.0, 1.0))),
      roll_(std::atan2(start.camera_to_world[4], start.camera_to_world[5])) {}

SteeredCamera::State SteeredCamera::state() const {
    return {x_, y_, z_, yaw_, pitch_, roll_, rest_yaw_.rest(), rest_pitch_.rest()};
}

void SteeredCamera::set_state(const State& state) {
    x_ = state[0];
    y_ = state[1];
    z_ = state[2];
    yaw_ = state[3];
    pitch_ = state[4];
    roll_ = state[5];
    rest_yaw_.set_rest(state[6]);
    rest_pitch_.set_rest(state[7]);
}

LatentCamera SteeredCamera::step(const ControlState& state) {
    const ControlAxes axes = axes_of(state);
    yaw_ += rest_yaw_.turn(axes.yaw * rules_.turn_per_latent, state.mouse_yaw_rad, rules_.max_turn_per_latent);
    yaw_ = std::remainder(yaw_, 2 * std::numbers::pi);
    const double turn =
        rest_pitch_.turn(axes.pitch * rules_.turn_per_latent, state.mouse_pitch_rad, rules_.max_turn_per_latent);
    // A start beyond the limit may come back, but goes no further.
    const double limit = std::max(rules_.pitch_limit, std::abs(pitch_));
    const double pitch = std::clamp(pitch_ + turn, -limit, limit);
    if (pitch != pitch_ + turn) rest_pitch_.forget(); // there is no further up or down
    pitch_ = pitch;
    roll_ -= std::clamp(roll_, -rules_.turn_per_latent, rules_.turn_per_latent);

    const double right = axes.right * rules_.move_per_latent;
    const double forward = axes.forward * rules_.move_per_latent;
    const double level = rules_.on_ground ? forward : forward * std::cos(pitch_);
    x_ += right * std::cos(yaw_) + level * std::sin(yaw_);
    z_ += level * std::cos(yaw_) - right * std::sin(yaw_);
    if (!rules_.on_ground) y_ -= forward * std::sin(pitch_);

    const Matrix4 previous = camera_.camera_to_world;
    Matrix4& now = camera_.camera_to_world;
    now = multiply(camera_to_world(0, 0, yaw_, pitch_), roll_about_view(roll_));
    now[3] = x_;
    now[7] = y_;
    now[11] = z_;
    camera_.world_to_camera = rigid_inverse(now);
    camera_.label = action_label(previous, now);
    if (rules_.third_person) camera_.label = third_person_label(camera_.label);
    return camera_;
}

std::vector<LatentCamera> SteeredCamera::chunk(ControlState state, int latents) {
    state.mouse_yaw_rad /= static_cast<float>(latents);
    state.mouse_pitch_rad /= static_cast<float>(latents);
    std::vector<LatentCamera> cameras;
    cameras.reserve(static_cast<std::size_t>(latents));
    for (int i = 0; i < latents; ++i) cameras.push_back(step(state));
    return cameras;
}

} // namespace wander
