#pragma once
// How much of what a new camera sees an old one has seen: HY-WorldPlay's measure, in its exact cheap form. No torch.
//
// Points fill a ball of radius 8 around the new camera, drawn once a session. Of those within the new view cone the
// overlap is the share that also lies in the old camera's cone and within the radius of the old camera. A cone is 60
// degrees wide and 35 high, by azimuth atan2(x, z) and elevation atan2(y, |(x, z)|), all in the NEW camera's frame:
// with f the old camera's view direction, a point p is within the cone of an old camera at c if |az(p - c) - az(f)| <=
// 30 and |el(p - c) - el(f)| <= 17.5 degrees (hy-worldplay.md 5).
//
// The points move with the new camera, so those within its cone never change: about 2,500 of 50,000 are kept, and a
// pair of cameras costs one pass over them without a single arc tangent. Counts are whole numbers: equal overlaps are
// equal. Immutable, any thread.

#include "generator/camera/prope.hpp"

#include <cstdint>
#include <vector>

namespace wander {

struct ViewCone {
    double radius = 8;
    double width_degrees = 60;
    double height_degrees = 35;
};

struct BallPoint {
    float x = 0;
    float y = 0;
    float z = 0;
};
// From three uniform numbers of 0..1, in single precision as the public code draws them: r = radius cbrt(a),
// phi = 2 pi b, theta = acos(1 - 2 c).
BallPoint ball_point(float a, float b, float c, double radius);

class ViewOverlap {
public:
    explicit ViewOverlap(const std::vector<BallPoint>& ball, const ViewCone& cone = {});
    // 50,000 points keyed by the session's seed.
    static ViewOverlap of_seed(std::uint64_t seed, const ViewCone& cone = {});

    // Points of the new view that the old camera saw.
    int seen(const Matrix4& new_world_to_camera, const Matrix4& old_camera_to_world) const;
    // Points of any new view; at least one.
    int points() const { return static_cast<int>(x_.size()); }
    double overlap(const Matrix4& new_world_to_camera, const Matrix4& old_camera_to_world) const {
        return static_cast<double>(seen(new_world_to_camera, old_camera_to_world)) / points();
    }

private:
    ViewCone cone_;
    std::vector<double> x_, y_, z_; // in the new camera's frame
};

} // namespace wander
