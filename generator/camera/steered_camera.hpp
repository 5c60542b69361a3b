#pragma once
// Live steering of HY-WorldPlay: held keys, mouse travel and pad sticks become one camera a latent. No torch; one
// thread; a value that can be copied to go back to.
//
// R = Ry(yaw) Rx(pitch): unlike the chained local turns of pose strings this keeps the horizon level. Moves along
// single axes agree with pose strings exactly (to rounding). Each held axis is a whole step, so forward and right
// together go further than one of them: that is what the networks have seen. Labels follow from the matrices, so the
// two inputs of a network never disagree. Up and down keys do nothing: these models do not fly.

#include "generator/camera/latent_camera.hpp"
#include "generator/camera/turn_rest.hpp"

#include <array>
#include <cstddef>
#include <numbers>
#include <vector>

namespace wander {

struct SteeringRules {
    double move_per_latent = kLatentMove;
    double turn_per_latent = kLatentTurn;                    // of a held key
    double max_turn_per_latent = 5 * std::numbers::pi / 180; // keys, sticks and mouse together
    double pitch_limit = 85 * std::numbers::pi / 180;        // up and down
    bool on_ground = false;                                  // moves keep their height; else they follow the view
    bool third_person = false;
};

class SteeredCamera {
public:
    // Goes on from `start`, say the last camera of a pose string. A tilted horizon turns level at a key's pace.
    explicit SteeredCamera(const LatentCamera& start, const SteeringRules& rules = {});

    // One latent. The mouse travel of `state` counts once.
    LatentCamera step(const ControlState& state);
    // The latents of one chunk from one sampled state: its mouse travel is divided among them. The first chunk of a
    // walk that starts with a picture steers three, since latent 0 is the start itself.
    std::vector<LatentCamera> chunk(ControlState state, int latents);

    const LatentCamera& camera() const { return camera_; }

    // What the next step depends on beside the camera itself, exactly: x, y, z, yaw, pitch, roll, and what is left of
    // the mouse's travel. To keep a walk and go on with it bit for bit.
    static constexpr std::size_t kStateNumbers = 8;
    using State = std::array<double, kStateNumbers>;
    State state() const;
    void set_state(const State& state);

private:
    SteeringRules rules_;
    LatentCamera camera_;
    double x_;
    double y_;
    double z_;
    double yaw_;
    double pitch_;
    double roll_;
    TurnRest rest_yaw_;
    TurnRest rest_pitch_;
};

} // namespace wander
