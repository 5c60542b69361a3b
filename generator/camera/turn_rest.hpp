#pragma once
// One axis of looking around: keys and mouse travel become a turn within what a network was trained on. No torch.
//
// What the mouse moved beyond that is carried over to the next latents, at most kCarryLatents of them: a view that goes
// on turning long after the hand has stopped feels wrong. One thread.

namespace wander {

// How long a flick of the mouse goes on turning the view after the latent that took it: with that one it is a second at
// four latents a second.
inline constexpr int kCarryLatents = 3;

class TurnRest {
public:
    // Radians of one latent, within +-max.
    double turn(double by_keys, double by_mouse, double max);
    void forget() { rest_ = 0; }
    double rest() const { return rest_; }
    void set_rest(double radians) { rest_ = radians; }

private:
    double rest_ = 0; // mouse travel that is still to be turned
};

} // namespace wander
