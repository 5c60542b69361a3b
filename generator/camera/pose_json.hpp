#pragma once
// HY-WorldPlay pose files: {"0": {"extrinsic": 4x4 camera-to-world, "K": 3x3 pixels}, ...}, one entry a latent. No
// torch, any thread.
//
// Entries count in file order, whatever their keys say. K may differ from entry to entry; its centre gives the size of
// the picture: focal = (fx / 2cx, fy / 2cy). Numbers are read as double, so a K written in whole numbers is what it
// says (the public reader cuts its focal lengths to 0).

#include "generator/camera/latent_camera.hpp"
#include "generator/plain/result.hpp"

#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace wander {

// bad_input names file, entry and what is wrong: no object, no entries, a matrix of another form or that is no rigid
// camera, no positive focal length or centre. Training files (keys "w2c", "intrinsic") are refused as such.
Result<std::vector<LatentCamera>> read_pose_json(const std::filesystem::path& path, bool third_person = false);

// The text of a file that read_pose_json reads back: the same matrices, focal lengths within a rounding.
std::string write_pose_json(std::span<const LatentCamera> cameras, int picture_width = 1920, int picture_height = 1080);

} // namespace wander
