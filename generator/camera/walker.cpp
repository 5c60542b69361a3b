#include "generator/camera/walker.hpp"

#include "generator/camera/actions.hpp"
#include "generator/camera/control_axes.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace wander {

Walker::Walker(const WalkableMap* map, const WalkerLimits& limits, const Pose& start)
    : map_(map), limits_(limits), x_(start.x), z_(start.z), yaw_(start.yaw), pitch_(start.pitch), pose_(start) {}

bool Walker::path_is_free(double dx, double dz) const {
    if (!map_) return true;
    for (int quarter = 1; quarter <= 4; ++quarter) {
        if (!map_->free_at(x_ + dx * quarter / 4, z_ + dz * quarter / 4)) return false;
    }
    return true;
}

Walker::Step Walker::step(const ControlState& state) {
    const ControlAxes axes = axes_of(state);
    yaw_ += rest_yaw_.turn(axes.yaw * limits_.yaw_per_latent, state.mouse_yaw_rad, limits_.max_yaw_per_latent);
    yaw_ = std::remainder(yaw_, 2 * std::numbers::pi);
    const double pitch = pitch_ + rest_pitch_.turn(axes.pitch * limits_.pitch_per_latent, state.mouse_pitch_rad,
                                                   limits_.max_pitch_per_latent);
    pitch_ = std::clamp(pitch, -limits_.pitch_limit, limits_.pitch_limit);
    if (pitch_ != pitch) rest_pitch_.forget(); // there is no further up or down

    const double length = std::hypot(axes.forward, axes.right);
    if (length > 0) {
        const double scale = limits_.move_per_latent / std::max(length, 1.0); // a stick half way goes half as far
        walk(axes.forward * scale, axes.right * scale);
    }
    return arrive();
}

Walker::Step Walker::move(const Move& amounts) {
    yaw_ = std::remainder(yaw_ + amounts.yaw, 2 * std::numbers::pi);
    pitch_ = std::clamp(pitch_ + amounts.pitch, -limits_.pitch_limit, limits_.pitch_limit);
    if (amounts.forward != 0 || amounts.right != 0) walk(amounts.forward, amounts.right);
    return arrive();
}

// Along the view, or sliding along what is in the way.
void Walker::walk(double forward, double right) {
    const double dx = forward * std::sin(yaw_) + right * std::cos(yaw_);
    const double dz = forward * std::cos(yaw_) - right * std::sin(yaw_);
    const bool x_is_larger = std::abs(dx) >= std::abs(dz);
    if (path_is_free(dx, dz)) {
        x_ += dx;
        z_ += dz;
    } else if (path_is_free(x_is_larger ? dx : 0, x_is_larger ? 0 : dz)) {
        (x_is_larger ? x_ : z_) += x_is_larger ? dx : dz;
    } else if (path_is_free(x_is_larger ? 0 : dx, x_is_larger ? dz : 0)) {
        (x_is_larger ? z_ : x_) += x_is_larger ? dz : dx;
    }
}

Walker::Step Walker::arrive() {
    const Pose previous = pose_;
    pose_ = rounded();
    return {pose_, action_label(previous, pose_, limits_.min_move)};
}

Pose Walker::rounded() const {
    return {static_cast<float>(x_), static_cast<float>(z_), static_cast<float>(yaw_), static_cast<float>(pitch_)};
}

Walker::State Walker::state() const { return {x_, z_, yaw_, pitch_, rest_yaw_.rest(), rest_pitch_.rest()}; }

void Walker::set_state(const State& state) {
    x_ = state[0];
    z_ = state[1];
    yaw_ = state[2];
    pitch_ = state[3];
    rest_yaw_.set_rest(state[4]);
    rest_pitch_.set_rest(state[5]);
    pose_ = rounded();
}

bool may_stand(const WalkableMap* map, const WalkerLimits& limits, const Pose& pose) {
    const bool finite =
        std::isfinite(pose.x) && std::isfinite(pose.z) && std::isfinite(pose.yaw) && std::isfinite(pose.pitch);
    return finite && std::abs(pose.pitch) <= limits.pitch_limit && (!map || map->free_at(pose.x, pose.z));
}

} // namespace wander
