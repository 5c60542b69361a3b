#include "generator/camera/prope.hpp"

#include <cmath>
#include <cstddef>

namespace wander {

namespace {

Matrix4 anchored_camera(const Pose& pose, const Pose& anchor, const CameraModel& camera) {
    const double x = nearest_offset(static_cast<double>(pose.x) - anchor.x, camera.period);
    const double z = nearest_offset(static_cast<double>(pose.z) - anchor.z, camera.period);
    return camera_to_world(x * camera.translation_scale, z * camera.translation_scale, pose.yaw, pose.pitch);
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

Matrix4 prope_projection(const Pose& pose, const Pose& anchor, const CameraModel& camera) {
    Matrix4 p = rigid_inverse(anchored_camera(pose, anchor, camera));
    for (std::size_t column = 0; column < 4; ++column) {
        p[column] *= camera.focal_x;
        p[4 + column] *= camera.focal_y;
    }
    return p;
}

Matrix4 prope_inverse(const Pose& pose, const Pose& anchor, const CameraModel& camera) {
    Matrix4 inverse = anchored_camera(pose, anchor, camera);
    for (std::size_t row = 0; row < 4; ++row) {
        inverse[4 * row] /= camera.focal_x;
        inverse[4 * row + 1] /= camera.focal_y;
    }
    return inverse;
}

} // namespace wander
