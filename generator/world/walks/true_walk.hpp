#pragma once
// True walks: where a camera really went, latent by latent, with the label of every step. Since a scene is a function
// of the pose, the true picture of any pose is known. No torch.

#include "generator/camera/walker.hpp"
#include "generator/plain/result.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace wander {

inline constexpr int kFramesPerLatent = 4;

// Entry 0 is the start picture (label 0), entry k the camera at the last frame of latent k.
struct TrueWalk {
    std::vector<Pose> poses;
    std::vector<int> labels; // 0..80, as camera/actions.hpp
};

// How a person walks by keys and mouse: speeds and limits of the embedded world.
WalkerLimits walk_limits();

// 4n + 1 poses for n latents after the start: frame 4k is latent k, between them poses go straight, yaw the short way.
std::vector<Pose> frame_poses(const TrueWalk& walk);

// A walk for training: actions held for 2 to 16 latents, mostly ahead, at the controls' speeds or others near them;
// before walls it turns away. Depends on (seed, number) alone. Without a start it begins anywhere free.
TrueWalk random_walk(const WalkableMap& map, const std::optional<Pose>& start, std::uint64_t seed, std::uint64_t number,
                     int latents);

// A pose on free ground that looks at something at arm's length: within a quarter turn's half of it, and near enough
// that a few steps ahead are blocked. Anywhere free if the map has no such place. Depends on (seed, number) alone.
Pose close_start(const WalkableMap& map, std::uint64_t seed, std::uint64_t number);

// A pose list as JSON: docs/formats.md, "True walk".
std::string true_walk_json(const TrueWalk& walk, const std::string& theme);
// bad_input with file and key. Labels may be absent: they follow from the poses.
Result<TrueWalk> read_true_walk(const std::filesystem::path& file);

} // namespace wander
