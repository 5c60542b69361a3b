#pragma once
// Camera matrices of poses, and the projective position encoding (PRoPE) made from them. Plain numbers, no torch.
//
// OpenCV axes: x right, y down, z forward; yaw grows to the right, pitch up. A walk on the ground has no height.
// P = diag(focal_x, focal_y, 1, 1) * world-to-camera, P^-1 the analytic inverse; a network turns its queries by P^T,
// its keys and values by P^-1 and the attended result by P, in groups of four channels. For the embedded world's poses
// translations are taken relative to an
// anchor (the newest latent's position) at the nearest copy on the torus, so that a walk may go round for ever;
// rotations stay absolute, since turning without moving the translation along would break the invariance.
// Pure functions, any thread.

#include "generator/plain/control_state.hpp"

#include <array>

namespace wander {

using Matrix4 = std::array<double, 16>; // row-major

struct CameraModel {
    double focal_x = 0.6;         // over the width
    double focal_y = 0.6;         // over the height
    double period = 0;            // side of the torus; 0: the plane is flat
    double translation_scale = 1; // world units to what the network was trained on
};

// Difference of two coordinates, taken to the nearest copy.
double nearest_offset(double difference, double period);

// Camera-to-world [R | t] with t = (x, 0, z): R = Ry(yaw) Rx(pitch).
Matrix4 camera_to_world(double x, double z, double yaw, double pitch);
// Inverse of a rigid matrix.
Matrix4 rigid_inverse(const Matrix4& m);
Matrix4 multiply(const Matrix4& a, const Matrix4& b);

// Focal lengths over the picture's width and height.
struct Focal {
    double x = 0.6;
    double y = 0.6;
};

struct PropeMatrices {
    Matrix4 projection{}; // P
    Matrix4 inverse{};    // P^-1
};
PropeMatrices prope_matrices(const Matrix4& world_to_camera, const Focal& focal);
// As HY-WorldPlay's published run makes them: camera and focal lengths rounded to bfloat16 first, then every product
// and every sum of the analytic inverse rounded to it. So the two are not exactly inverse to each other. Values are
// bfloat16 values.
PropeMatrices prope_matrices_bf16(const Matrix4& world_to_camera, const Focal& focal);

Matrix4 prope_projection(const Pose& pose, const Pose& anchor, const CameraModel& camera); // P
Matrix4 prope_inverse(const Pose& pose, const Pose& anchor, const CameraModel& camera);    // P^-1

} // namespace wander
