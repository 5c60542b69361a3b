// The walks that the world model is trained on. Shares and ranges: what the embedded world was trained with.

#include "generator/plain/keyed_random.hpp"
#include "generator/world/walks/true_walk.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace wander {

namespace {

constexpr double kUsualShare = 0.6;  // of actions at exactly those speeds
constexpr double kPitchLimit = 0.61; // radians; never reached on purpose
constexpr double kLookAhead = 0.7;   // units to a wall that one turns away from
constexpr double kStuck = 0.02;      // a step shorter than this got nowhere
constexpr int kStuckLatents = 2;
// A start at arm's length: one may not go this far ahead, in units. Solid things keep up to 0.55 units away, so what is
// looked at is one to two and a half metres away.
constexpr double kCloseLeast = 0.05;
constexpr double kCloseMost = 0.45;
constexpr double kCloseTurn = 0.6; // radians that the thing may be off the middle of the view

// Counters of the draws for one action.
enum Draw : std::uint64_t { kLength, kSpeedKind, kSpeed, kTurnKind, kTurnSpeed, kKind, kSide, kShare, kWall, kLevel };

struct Held {
    Walker::Move move;
    int left = 0; // latents still to go
};

Held choose(const WalkableMap& map, const Pose& pose, bool stuck, const KeyedRandom& random) {
    const WalkerLimits keys = walk_limits();
    const double speed =
        random.unit(kSpeedKind) < kUsualShare ? keys.move_per_latent : random.between(kSpeed, 0.06, 0.26);
    const double turn =
        random.unit(kTurnKind) < kUsualShare ? keys.yaw_per_latent : random.between(kTurnSpeed, 0.035, 0.157);
    const double side = random.unit(kSide) < 0.5 ? -1 : 1;
    Held held;
    held.left = 2 + random.below(kLength, 15);
    Walker::Move& move = held.move;
    if (stuck) {
        move.yaw = side * turn;
        held.left = 4 + random.below(kLength, 12);
        if (random.unit(kWall) < 0.3) move.forward = -speed;
        return held;
    }
    // Upper ends of the shares of each kind of action.
    const double kind = random.unit(kKind);
    if (kind < 0.34) {
        move.forward = speed;
    } else if (kind < 0.54) {
        move.forward = speed;
        move.yaw = side * turn * random.between(kShare, 0.6, 1);
    } else if (kind < 0.70) {
        move.yaw = side * turn;
    } else if (kind < 0.77) {
        move.right = side * speed;
    } else if (kind < 0.82) {
        move.forward = speed * std::numbers::sqrt2 / 2;
        move.right = side * move.forward;
    } else if (kind < 0.87) {
        move.forward = -speed;
    } else if (kind < 0.90) {
        move.right = side * speed;
        move.yaw = -side * turn;
    } else if (kind < 0.94) {
        const double way = pose.pitch > 0.12f ? -1 : (pose.pitch < -0.12f ? 1 : side);
        move.pitch = way * turn * 0.7;
        held.left = std::min(held.left, 4);
    } else if (kind < 0.97) {
        move.forward = speed;
        move.pitch = (pose.pitch > 0 ? -1 : 1) * turn * 0.5;
        held.left = std::min(held.left, 5);
    } else {
        held.left = std::min(held.left, 5); // stands
    }
    if (move.forward > 0 && move.yaw == 0 && random.unit(kWall) < 0.6 &&
        !map.free_at(pose.x + kLookAhead * std::sin(pose.yaw), pose.z + kLookAhead * std::cos(pose.yaw))) {
        move = {.yaw = side * turn};
        held.left = 5 + random.below(kLength, 14);
    }
    if (std::abs(pose.pitch) > 0.15f && move.pitch == 0 && random.unit(kLevel) < 0.6) {
        const double most = std::abs(static_cast<double>(pose.pitch)) / held.left;
        move.pitch = (pose.pitch > 0 ? -1 : 1) * std::min(turn * 0.6, most);
    }
    return held;
}

Pose anywhere(const WalkableMap& map, const KeyedRandom& random) {
    constexpr std::uint64_t kTries = 4000;
    Pose pose;
    for (std::uint64_t k = 0; k < kTries; ++k) {
        pose.x = static_cast<float>(random.between(2 * k, -map.period() / 2, map.period() / 2));
        pose.z = static_cast<float>(random.between(2 * k + 1, -map.period() / 2, map.period() / 2));
        if (map.free_at(pose.x, pose.z)) break;
    }
    const KeyedRandom view = random.child("view");
    pose.yaw = static_cast<float>(view.between(0, -std::numbers::pi, std::numbers::pi));
    if (view.unit(1) < 0.3) pose.pitch = static_cast<float>(view.between(2, -0.25, 0.25));
    return pose;
}

} // namespace

Pose close_start(const WalkableMap& map, std::uint64_t seed, std::uint64_t number) {
    constexpr std::uint64_t kTries = 4000;
    const KeyedRandom random = KeyedRandom(seed).child(number).child("close");
    for (std::uint64_t k = 0; k < kTries; ++k) {
        const KeyedRandom draw = random.child(k);
        const double x = draw.between(0, -map.period() / 2, map.period() / 2);
        const double z = draw.between(1, -map.period() / 2, map.period() / 2);
        const double toward = draw.between(2, -std::numbers::pi, std::numbers::pi);
        const double distance = draw.between(3, kCloseLeast, kCloseMost);
        if (!map.free_at(x, z) || map.free_at(x + distance * std::sin(toward), z + distance * std::cos(toward)))
            continue;
        Pose pose;
        pose.x = static_cast<float>(x);
        pose.z = static_cast<float>(z);
        // Rounding may have crossed the border of a cell.
        if (!map.free_at(pose.x, pose.z)) continue;
        pose.yaw =
            static_cast<float>(std::remainder(toward + draw.between(4, -kCloseTurn, kCloseTurn), 2 * std::numbers::pi));
        if (draw.unit(5) < 0.3) pose.pitch = static_cast<float>(draw.between(6, -0.25, 0.25));
        return pose;
    }
    return anywhere(map, random.child("start"));
}

TrueWalk random_walk(const WalkableMap& map, const std::optional<Pose>& start, std::uint64_t seed, std::uint64_t number,
                     int latents) {
    const KeyedRandom random = KeyedRandom(seed).child(number);
    const Pose first = start ? *start : anywhere(map, random.child("start"));
    WalkerLimits limits = walk_limits();
    limits.pitch_limit = kPitchLimit;
    Walker walker(&map, limits, first);
    TrueWalk walk{{first}, {0}};
    Held held;
    int stuck = 0;
    for (int i = 0; i < latents; ++i) {
        if (held.left <= 0 || stuck >= kStuckLatents) {
            held = choose(map, walker.pose(), stuck >= kStuckLatents, random.child(static_cast<std::uint64_t>(i)));
            stuck = 0;
        }
        const Pose before = walker.pose();
        const Walker::Step step = walker.move(held.move);
        const double moved = std::abs(step.pose.x - before.x) + std::abs(step.pose.z - before.z);
        const bool wished = held.move.forward != 0 || held.move.right != 0;
        stuck = wished && moved < kStuck ? stuck + 1 : 0;
        --held.left;
        walk.poses.push_back(step.pose);
        walk.labels.push_back(step.label);
    }
    return walk;
}

} // namespace wander
