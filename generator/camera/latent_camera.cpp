#include "generator/camera/latent_camera.hpp"

#include "generator/camera/pose_string.hpp"

#include <fmt/format.h>

namespace wander {

namespace {

constexpr Matrix4 kIdentity = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};

Matrix4 translation(double x, double y, double z) { return {1, 0, 0, x, 0, 1, 0, y, 0, 0, 1, z, 0, 0, 0, 1}; }

// A turn in the camera's own axes.
Matrix4 rotation(double yaw, double pitch) { return camera_to_world(0, 0, yaw, pitch); }

} // namespace

CameraMove move_of(Action action) {
    CameraMove move;
    switch (action) {
        case Action::forward: move.forward = kLatentMove; break;
        case Action::back: move.forward = -kLatentMove; break;
        case Action::right: move.right = kLatentMove; break;
        case Action::left: move.right = -kLatentMove; break;
        case Action::yaw_right: move.yaw = kLatentTurn; break;
        case Action::yaw_left: move.yaw = -kLatentTurn; break;
        case Action::pitch_up: move.pitch = kLatentTurn; break;
        case Action::pitch_down: move.pitch = -kLatentTurn; break;
        case Action::up:
        case Action::down: break; // these models do not fly
    }
    return move;
}

Matrix4 moved(const Matrix4& camera_to_world, const CameraMove& move) {
    Matrix4 camera = camera_to_world;
    if (move.yaw != 0) camera = multiply(camera, rotation(move.yaw, 0));
    if (move.pitch != 0) camera = multiply(camera, rotation(0, move.pitch));
    if (move.forward != 0 || move.right != 0) camera = multiply(camera, translation(move.right, 0, move.forward));
    if (move.orbit_yaw != 0) {
        const Matrix4 about = multiply(translation(0, 0, 1), rotation(-move.orbit_yaw, 0));
        camera = multiply(camera, multiply(about, translation(0, 0, -1)));
    }
    return camera;
}

void complete_cameras(std::span<LatentCamera> cameras, bool third_person) {
    for (std::size_t i = 0; i < cameras.size(); ++i) {
        LatentCamera& camera = cameras[i];
        camera.world_to_camera = rigid_inverse(camera.camera_to_world);
        camera.label = i == 0 ? 0 : action_label(cameras[i - 1].camera_to_world, camera.camera_to_world);
        if (third_person) camera.label = third_person_label(camera.label);
    }
}

std::vector<LatentCamera> cameras_from_moves(const std::vector<CameraMove>& moves, const Focal& focal,
                                             bool third_person) {
    std::vector<LatentCamera> cameras;
    cameras.reserve(moves.size() + 1);
    cameras.push_back({.camera_to_world = kIdentity, .focal = focal});
    for (const CameraMove& move : moves)
        cameras.push_back({.camera_to_world = moved(cameras.back().camera_to_world, move), .focal = focal});
    complete_cameras(cameras, third_person);
    return cameras;
}

Result<std::vector<LatentCamera>> cameras_from_pose_string(std::string_view text, const Focal& focal,
                                                           bool third_person) {
    auto actions = parse_pose_string(text);
    if (!actions) return actions.error();
    std::vector<CameraMove> moves;
    moves.reserve(actions->size());
    for (const Action action : *actions) moves.push_back(move_of(action));
    return cameras_from_moves(moves, focal, third_person);
}

int latents_of_frames(int video_frames) { return video_frames < 1 ? 0 : (video_frames - 1) / 4 + 1; }

Result<void> check_path_length(std::size_t cameras, int video_frames) {
    const int latents = latents_of_frames(video_frames);
    if (latents < 1 || latents % kLatentsPerChunk != 0) {
        return Error{ErrorCode::wrong_use,
                     fmt::format("a video of {} frames has {} latents, no multiple of {}: take 13 frames, or 16, 32, "
                                 "48... more",
                                 video_frames, latents, kLatentsPerChunk)};
    }
    if (cameras == static_cast<std::size_t>(latents)) return {};
    return Error{
        ErrorCode::wrong_use,
        fmt::format("the camera path has {} poses, but a video of {} frames has {} latents: make the steps add "
                    "up to {} (the first pose is the start)",
                    cameras, video_frames, latents, latents - 1)};
}

} // namespace wander
