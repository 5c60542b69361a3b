#include "tests/bench/cache_quality/scripts.hpp"

namespace wander::bench {

namespace {

using Holds = std::map<std::int64_t, std::vector<Action>>;

// A latent turns by 7.5 degrees: 11 of them show something else altogether, 11 back end at the first view.
Holds turn_away_and_back(Action away, Action back) { return {{0, {away}}, {11, {back}}, {22, {}}}; }

Holds walk_in_and_out() {
    return {{0, {Action::forward}}, {8, {Action::back}}, {16, {Action::forward, Action::yaw_right}}};
}

} // namespace

std::vector<BenchScript> bench_scripts() {
    using enum Action;
    return {
        {"village_fountain",
         false,
         {"forward, turn while walking",
          {{0, {forward}}, {6, {forward, yaw_right}}, {12, {yaw_right}}, {16, {forward}}},
          {}}},
        {"winter_lamps", true, {"turn right and back", turn_away_and_back(yaw_right, yaw_left), {}}},
        {"neon_pyramid",
         false,
         {"look left and up, back, strafe",
          {{0, {yaw_left}}, {5, {back}}, {9, {left, pitch_up}}, {11, {right}}, {15, {yaw_left, forward}}},
          {}}},
        {"village_meadow", true, {"turn left and back", turn_away_and_back(yaw_left, yaw_right), {}}},
        {"winter_cabin",
         false,
         {"forward, strafe, turn", {{0, {forward}}, {7, {forward, right}}, {12, {yaw_left}}, {18, {forward}}}, {}}},
        {"neon_avenue", true, {"in, out, in again", walk_in_and_out(), {}}},
        {"village_fountain", true, {"turn left and back", turn_away_and_back(yaw_left, yaw_right), {}}},
        {"neon_pyramid", true, {"turn right and back", turn_away_and_back(yaw_right, yaw_left), {}}},
        {"winter_lamps", false, {"all round", {{0, {yaw_right}}}, {}}},
        {"village_meadow",
         false,
         {"strafe and look",
          {{0, {left}}, {6, {right, pitch_up}}, {9, {right, pitch_down}}, {14, {forward, yaw_left}}},
          {}}},
        {"winter_cabin", false, {"standing still, then away", {{0, {}}, {10, {back}}, {15, {yaw_right}}}, {}}},
        {"neon_avenue", false, {"forward and round", {{0, {forward}}, {10, {forward, yaw_left}}}, {}}},
    };
}

} // namespace wander::bench
