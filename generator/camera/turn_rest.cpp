#include "generator/camera/turn_rest.hpp"

#include <algorithm>

namespace wander {

double TurnRest::turn(double by_keys, double by_mouse, double max) {
    const double mouse = rest_ + by_mouse;
    const double turned = std::clamp(by_keys + mouse, -max, max);
    const double left = by_keys + mouse - turned;
    // Only the mouse's share of it: a key that is held says so again by itself.
    const double owed = mouse > 0 ? std::clamp(left, 0.0, mouse) : std::clamp(left, mouse, 0.0);
    rest_ = std::clamp(owed, -max * kCarryLatents, max * kCarryLatents);
    return turned;
}

} // namespace wander
