#include "generator/camera/prope.hpp"

#include "quant/qvg/number_formats.hpp"

#include <cmath>
#include <cstddef>

namespace wander {

namespace {

Matrix4 anchored_camera(const Pose& pose, const Pose& anchor, const CameraModel& camera) {
    const double x = nearest_offset(static_cast<double>(pose.x) - anchor.x, camera.period);
    const double z = nearest_offset(static_cast<double>(pose.z) - anchor.z, camera.period);
    return camera_to_world(x * camera.translation_scale, z * camera.translation_scale, pose.yaw, pose.pitch);
}

Matrix4 projection_of(Matrix4 world_to_camera, const Focal& focal) {
    for (std::size_t column = 0; column < 4; ++column) {
        world_to_camera[column] *= focal.x;
        world_to_camera[4 + column] *= focal.y;
    }
    return world_to_camera;
}

Matrix4 inverse_of(Matrix4 camera_to_world, const Focal& focal) {
    for (std::size_t row = 0; row < 4; ++row) {
        camera_to_world[4 * row] /= focal.x;
        camera_to_world[4 * row + 1] /= focal.y;
    }
    return camera_to_world;
}

double rounded(double value) { return quant::qvg::round_bf16(static_cast<float>(value)); }
Matrix4 rounded(Matrix4 matrix) {
    for (double& value : matrix) value = rounded(value);
    return matrix;
}

} // namespace

double nearest_offset(double difference, double period) {
    return period > 0 ? difference - period * std::nearbyint(difference / period) : difference;
}

Matrix4 camera_to_world(double x, double z, double yaw, double pitch) {
    const double cy = std::cos(yaw);
    const double sy = std::sin(yaw);
    const double cp = std::cos(pitch);
    const double sp = std::sin(pitch);
    return {cy,  sy * sp, sy * cp, x, //
            0,   cp,      -sp,     0, //
            -sy, cy * sp, cy * cp, z, //
            0,   0,       0,       1};
}

Matrix4 rigid_inverse(const Matrix4& m) {
    Matrix4 inverse{};
    for (std::size_t row = 0; row < 3; ++row) {
        for (std::size_t column = 0; column < 3; ++column) {
            inverse[4 * row + column] = m[4 * column + row];
            inverse[4 * row + 3] -= m[4 * column + row] * m[4 * column + 3];
        }
    }
    inverse[15] = 1;
    return inverse;
}

Matrix4 multiply(const Matrix4& a, const Matrix4& b) {
    Matrix4 product{};
    for (std::size_t row = 0; row < 4; ++row) {
        for (std::size_t inner = 0; inner < 4; ++inner) {
            for (std::size_t column = 0; column < 4; ++column) {
                product[4 * row + column] += a[4 * row + inner] * b[4 * inner + column];
            }
        }
    }
    return product;
}

PropeMatrices prope_matrices(const Matrix4& world_to_camera, const Focal& focal) {
    return {projection_of(world_to_camera, focal), inverse_of(rigid_inverse(world_to_camera), focal)};
}

PropeMatrices prope_matrices_bf16(const Matrix4& world_to_camera, const Focal& focal) {
    const Matrix4 camera = rounded(world_to_camera);
    const Focal lens{rounded(focal.x), rounded(focal.y)};
    // Multiplying by the rounded reciprocal is what a product with L^-1 does.
    const Focal reciprocal{rounded(1 / lens.x), rounded(1 / lens.y)};
    Matrix4 inverse = rounded(rigid_inverse(camera));
    for (std::size_t row = 0; row < 4; ++row) {
        inverse[4 * row] *= reciprocal.x;
        inverse[4 * row + 1] *= reciprocal.y;
    }
    return {rounded(projection_of(camera, lens)), rounded(inverse)};
}

Matrix4 prope_projection(const Pose& pose, const Pose& anchor, const CameraModel& camera) {
    return projection_of(rigid_inverse(anchored_camera(pose, anchor, camera)), {camera.focal_x, camera.focal_y});
}

Matrix4 prope_inverse(const Pose& pose, const Pose& anchor, const CameraModel& camera) {
    return inverse_of(anchored_camera(pose, anchor, camera), {camera.focal_x, camera.focal_y});
}

} // namespace wander
