#include "generator/memory/view_overlap.hpp"

#include "generator/plain/hash.hpp"

#include <cmath>
#include <limits>
#include <numbers>

namespace wander {

namespace {

constexpr int kBallPoints = 50'000;
constexpr double kRadians = std::numbers::pi / 180;

// A cone around a direction as products and comparisons. With h = |(x, z)| of a point's direction and (fx, fz) the
// unit azimuth of the axis: the azimuth is within +-w (below 90 degrees) if fx x + fz z >= cos(w) h, and the elevation
// within lo..hi if tan(lo) h <= y <= tan(hi) h; a border at or beyond a pole is none.
struct ConeTest {
    double axis_x = 0;
    double axis_z = 1;
    double cosine = 0;
    double low = 0;
    double high = 0;

    bool holds(double x, double y, double z) const {
        const double h = std::sqrt(x * x + z * z);
        return (axis_x * x + axis_z * z >= cosine * h) & (y >= low * h) & (y <= high * h);
    }
};

ConeTest cone_around(double x, double y, double z, const ViewCone& cone) {
    const double azimuth = std::atan2(x, z);
    const double elevation = std::atan2(y, std::hypot(x, z));
    const double half = cone.height_degrees / 2 * kRadians;
    const double pole = std::numbers::pi / 2;
    const double infinity = std::numeric_limits<double>::infinity();
    ConeTest test;
    test.axis_x = std::sin(azimuth);
    test.axis_z = std::cos(azimuth);
    test.cosine = std::cos(cone.width_degrees / 2 * kRadians);
    test.low = elevation - half <= -pole ? -infinity : std::tan(elevation - half);
    test.high = elevation + half >= pole ? infinity : std::tan(elevation + half);
    return test;
}

} // namespace

BallPoint ball_point(float a, float b, float c, double radius) {
    const float r = static_cast<float>(radius) * std::cbrt(a);
    const float phi = 2 * std::numbers::pi_v<float> * b;
    const float theta = std::acos(1 - 2 * c);
    return {r * std::sin(theta) * std::cos(phi), r * std::sin(theta) * std::sin(phi), r * std::cos(theta)};
}

ViewOverlap::ViewOverlap(const std::vector<BallPoint>& ball, const ViewCone& cone) : cone_(cone) {
    const ConeTest ahead = cone_around(0, 0, 1, cone);
    for (const BallPoint& point : ball) {
        if (!ahead.holds(point.x, point.y, point.z)) continue;
        x_.push_back(point.x);
        y_.push_back(point.y);
        z_.push_back(point.z);
    }
    if (!x_.empty()) return;
    x_.push_back(0); // a ball without a point ahead tells nothing, but nothing is divided by zero
    y_.push_back(0);
    z_.push_back(cone.radius / 2);
}

ViewOverlap ViewOverlap::of_seed(std::uint64_t seed, const ViewCone& cone) {
    std::vector<BallPoint> ball;
    ball.reserve(kBallPoints);
    // Mixed before counting: neighbouring seeds would share most of their sequence.
    const std::uint64_t key = splitmix64(fnv1a64("view points") ^ seed);
    const auto uniform = [key](std::uint64_t counter) {
        return static_cast<float>(splitmix64(key + counter) >> 40) * 0x1p-24F;
    };
    for (std::uint64_t i = 0; i < kBallPoints; ++i)
        ball.push_back(ball_point(uniform(3 * i), uniform(3 * i + 1), uniform(3 * i + 2), cone.radius));
    return ViewOverlap(ball, cone);
}

int ViewOverlap::seen(const Matrix4& new_world_to_camera, const Matrix4& old_camera_to_world) const {
    const Matrix4 old = multiply(new_world_to_camera, old_camera_to_world); // the old camera in the new one's frame
    const ConeTest cone = cone_around(old[2], old[6], old[10], cone_);
    const double square = cone_.radius * cone_.radius;
    int count = 0;
    for (std::size_t i = 0; i < x_.size(); ++i) {
        const double x = x_[i] - old[3];
        const double y = y_[i] - old[7];
        const double z = z_[i] - old[11];
        // Without branches, so that the loop becomes SIMD.
        count += static_cast<int>(cone.holds(x, y, z) & (x * x + y * y + z * z <= square));
    }
    return count;
}

} // namespace wander
