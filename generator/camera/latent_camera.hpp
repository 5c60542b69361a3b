#pragma once
// Cameras of a HY-WorldPlay walk, one a latent: made from a pose string, from moves or from a pose JSON. No torch.
//
// OpenCV axes (x right, y down, z forward), units of the model: a held key moves 0.08 and turns 3 degrees a latent. A
// step first turns (R = R Ry(yaw), then R Rx(pitch)), then moves along the new local axes. Latent 0 is the world's
// origin unless a file says otherwise, and the world is never re-centred: text keys are not turned with the cameras, so
// absolute poses matter. Label i tells the move from latent i - 1 to i; label 0 is 0. Pure functions, any thread.

#include "generator/camera/actions.hpp"
#include "generator/camera/prope.hpp"
#include "generator/plain/result.hpp"

#include <cstddef>
#include <numbers>
#include <span>
#include <string_view>
#include <vector>

namespace wander {

inline constexpr double kLatentMove = 0.08;                       // units
inline constexpr double kLatentTurn = 3 * std::numbers::pi / 180; // radians
inline constexpr int kLatentsPerChunk = 4;

inline constexpr Focal kDefaultFocal{969.6969696969696 / 1920, 969.6969696969696 / 1080}; // 1920 x 1080 pixels

struct LatentCamera {
    Matrix4 camera_to_world{};
    Matrix4 world_to_camera{};
    Focal focal = kDefaultFocal;
    int label = 0; // 0..80
};

// One step in units and radians; several parts at once are a compound move.
struct CameraMove {
    double forward = 0;
    double right = 0;
    double yaw = 0;       // right positive
    double pitch = 0;     // up positive
    double orbit_yaw = 0; // last: a turn by the negative angle about the point one unit ahead
};

CameraMove move_of(Action action);
// In the order yaw, pitch, forward, right, orbit.
Matrix4 moved(const Matrix4& camera_to_world, const CameraMove& move);

// World-to-camera and labels of cameras that have camera_to_world and focal. In third person a latent that turns has no
// movement in its label.
void complete_cameras(std::span<LatentCamera> cameras, bool third_person);

// moves.size() + 1 cameras, from the identity on.
std::vector<LatentCamera> cameras_from_moves(const std::vector<CameraMove>& moves, const Focal& focal = kDefaultFocal,
                                             bool third_person = false);
// "w-31" makes 32 cameras. wrong_use with the item at fault.
Result<std::vector<LatentCamera>> cameras_from_pose_string(std::string_view text, const Focal& focal = kDefaultFocal,
                                                           bool third_person = false);

// Latents of a video: the first is one frame, every other four. Frames of a started four do not count.
int latents_of_frames(int video_frames);
// A path fits a video if it has a camera for each latent and fills whole chunks; wrong_use says what to change.
Result<void> check_path_length(std::size_t cameras, int video_frames);

} // namespace wander
