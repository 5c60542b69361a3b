#pragma once
// Draws pictures of a scene on the CPU: the plain twin of render_cuda.hpp. No torch. Any thread.

#include "generator/plain/control_state.hpp"
#include "generator/world/scene/shade.hpp"

#include <cstdint>
#include <span>

namespace wander::scene {

// The torus wraps x and z here, in double, so that far walks lose no digits.
CameraView camera_view(const Pose& pose);

// rgb: [poses][height][width][3] bytes. Rows are shared out over `threads` (0: one for each core); the pictures do not
// depend on how many.
void draw_pictures(const SceneView& scene, std::span<const Pose> poses, const PictureFormat& format, int threads,
                   std::uint8_t* rgb);

} // namespace wander::scene
