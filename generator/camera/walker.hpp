#pragma once
// The body that walks: held actions and mouse travel become one camera step a latent. No torch; one thread.
//
// New yaw first, then the move along it. A step is tested at a quarter, half, three quarters and the whole; if a point
// is blocked, the larger axis component alone is tried, then the smaller (sliding along walls). Diagonal steps are no
// longer than straight ones. Turning stays within what the network was trained on; what the mouse moved beyond that is
// carried over to the next latents (turn_rest.hpp). Coordinates are never wrapped.

#include "generator/camera/turn_rest.hpp"
#include "generator/camera/walkable_map.hpp"
#include "generator/plain/control_state.hpp"

#include <array>
#include <cstddef>

namespace wander {

struct WalkerLimits {
    double move_per_latent = 0; // units
    double yaw_per_latent = 0;  // radians, of a held key
    double pitch_per_latent = 0;
    double max_yaw_per_latent = 0; // radians, keys and mouse together
    double max_pitch_per_latent = 0;
    double pitch_limit = 0; // radians, up and down
    double min_move = 1e-3; // shorter steps count as none in the label
};

class Walker {
public:
    // The map must outlive the walker; null: no walls.
    Walker(const WalkableMap* map, const WalkerLimits& limits, const Pose& start);

    struct Step {
        Pose pose;
        int label = 0; // 0..80, of the step really made
    };
    // One latent. The mouse travel of `state` counts once: callers that take several latents from one state divide it.
    Step step(const ControlState& state);

    // One latent by any amounts, as training walks have them: units ahead and to the right, radians to the right and
    // up. Only the pitch limit holds; the mouse's rest is not touched.
    struct Move {
        double forward = 0;
        double right = 0;
        double yaw = 0;
        double pitch = 0;
    };
    Step move(const Move& amounts);

    const Pose& pose() const { return pose_; }

    // All that the next step depends on, exactly: x, z, yaw, pitch, and what is left of the mouse's travel. To keep a
    // walk and go on with it bit for bit.
    static constexpr std::size_t kStateNumbers = 6;
    using State = std::array<double, kStateNumbers>;
    State state() const;
    void set_state(const State& state);

private:
    bool path_is_free(double dx, double dz) const;
    void walk(double forward, double right);
    Step arrive();
    Pose rounded() const;

    const WalkableMap* map_;
    WalkerLimits limits_;
    // Doubles, so that thousands of steps add up as exactly as one; the pose is rounded once for each step.
    double x_;
    double z_;
    double yaw_;
    double pitch_;
    TurnRest rest_yaw_;
    TurnRest rest_pitch_;
    Pose pose_;
};

// Is a start pose usable: finite, within the pitch limit, on a free cell?
bool may_stand(const WalkableMap* map, const WalkerLimits& limits, const Pose& pose);

} // namespace wander
