#pragma once
// Where a ray enters a primitive. Everything in the primitive's own axes: base at y = 0, turned back.

#include "generator/world/scene/scene.hpp"

namespace wander::scene {

inline constexpr float kNearest = 1e-4f; // a ray does not hit what it starts on

struct Surface {
    float t = 0; // along the ray
    Vec3 normal; // own axes of the primitive, outwards
    Vec3 local;  // the point in own axes
    int id = -2; // primitive; -1 the ground; -2 nothing
};

// The part of a ray inside a convex body, cut down plane by plane.
struct Span {
    Vec3 origin;
    Vec3 direction;
    float enter = kNearest;
    float leave = 0;
    Vec3 normal;

    // Half space dot(n, p) <= distance. False when nothing is left.
    WANDER_HOST_DEVICE bool cut(Vec3 n, float distance) {
        const float along = dot(n, direction);
        const float room = distance - dot(n, origin);
        if (fabsf(along) < 1e-8f) return room >= 0;
        const float t = room / along;
        if (along < 0) {
            if (t > enter) {
                enter = t;
                normal = n;
            }
        } else if (t < leave) {
            leave = t;
        }
        return enter < leave;
    }

    // Between two planes across one axis: low <= p <= high, where the ray has origin o and direction d on that axis.
    WANDER_HOST_DEVICE bool cut_slab(float o, float d, float low, float high, Vec3 axis) {
        if (fabsf(d) < 1e-8f) return o >= low && o <= high;
        const float per_unit = 1.0f / d;
        const float a = (low - o) * per_unit;
        const float b = (high - o) * per_unit;
        const float in = d > 0 ? a : b;
        if (in > enter) {
            enter = in;
            normal = axis * (d > 0 ? -1.0f : 1.0f);
        }
        leave = smaller(leave, d > 0 ? b : a);
        return enter < leave;
    }
};

WANDER_HOST_DEVICE inline bool cut_box(Span& span, const Primitive& p) {
    return span.cut_slab(span.origin.x, span.direction.x, -p.size_x, p.size_x, {1, 0, 0}) &&
           span.cut_slab(span.origin.z, span.direction.z, -p.size_z, p.size_z, {0, 0, 1}) &&
           span.cut_slab(span.origin.y, span.direction.y, 0, p.size_y, {0, 1, 0});
}

// A roof: two gable ends across x, two slopes towards z.
WANDER_HOST_DEVICE inline bool cut_gable(Span& span, const Primitive& p) {
    const float a = 1.0f / p.size_z;
    const float b = 1.0f / p.size_y;
    const float k = 1.0f / sqrtf(a * a + b * b);
    return span.cut_slab(span.origin.x, span.direction.x, -p.size_x, p.size_x, {1, 0, 0}) &&
           span.cut({0, b * k, a * k}, k) && span.cut({0, b * k, -(a * k)}, k) && span.cut({0, -1, 0}, 0);
}

WANDER_HOST_DEVICE inline bool cut_pyramid(Span& span, const Primitive& p) {
    const float a = 1.0f / p.size_z;
    const float b = 1.0f / p.size_y;
    const float c = 1.0f / p.size_x;
    const float kz = 1.0f / sqrtf(a * a + b * b);
    const float kx = 1.0f / sqrtf(c * c + b * b);
    return span.cut({c * kx, b * kx, 0}, kx) && span.cut({-(c * kx), b * kx, 0}, kx) &&
           span.cut({0, b * kz, a * kz}, kz) && span.cut({0, b * kz, -(a * kz)}, kz) && span.cut({0, -1, 0}, 0);
}

WANDER_HOST_DEVICE inline bool cut_cylinder(Span& span, const Primitive& p) {
    const Vec3 o = span.origin;
    const Vec3 d = span.direction;
    const float a = d.x * d.x + d.z * d.z;
    const float b = o.x * d.x + o.z * d.z;
    const float c = o.x * o.x + o.z * o.z - p.size_x * p.size_x;
    const float root = b * b - a * c;
    if (a < 1e-9f || root < 0) return false;
    const float width = sqrtf(root);
    const float in = (-b - width) / a;
    const float out = (-b + width) / a;
    if (in > span.enter) {
        span.enter = in;
        span.normal = {(o.x + d.x * in) / p.size_x, 0, (o.z + d.z * in) / p.size_x};
    }
    if (out < span.leave) span.leave = out;
    return span.enter < span.leave && span.cut_slab(o.y, d.y, 0, p.size_y, {0, 1, 0});
}

WANDER_HOST_DEVICE inline bool hit_ellipsoid(const Primitive& p, Vec3 o, Vec3 d, float limit, Surface& surface) {
    const Vec3 os{o.x / p.size_x, o.y / p.size_y, o.z / p.size_z};
    const Vec3 ds{d.x / p.size_x, d.y / p.size_y, d.z / p.size_z};
    const float a = dot(ds, ds);
    const float b = dot(os, ds);
    const float root = b * b - a * (dot(os, os) - 1.0f);
    if (root < 0) return false;
    const float t = (-b - sqrtf(root)) / a;
    if (t < kNearest || t > limit) return false;
    const Vec3 h = os + ds * t;
    surface.t = t;
    surface.normal = normalized({h.x / p.size_x, h.y / p.size_y, h.z / p.size_z});
    surface.local = o + d * t;
    return true;
}

// x^2 + z^2 = (r (1 - y / h))^2 for 0 <= y <= h, closed below.
WANDER_HOST_DEVICE inline bool hit_cone(const Primitive& p, Vec3 o, Vec3 d, float limit, Surface& surface) {
    const float slope = p.size_x / p.size_y;
    const float k = slope * slope;
    const float oy = p.size_y - o.y;
    const float dy = -d.y;
    const float a = d.x * d.x + d.z * d.z - k * dy * dy;
    const float b = o.x * d.x + o.z * d.z - k * oy * dy;
    const float c = o.x * o.x + o.z * o.z - k * oy * oy;
    const float root = b * b - a * c;
    if (root < 0) return false;
    const float width = sqrtf(root);
    const float over_a = 1.0f / (fabsf(a) < 1e-9f ? 1e-9f : a);
    float best = limit;
    bool found = false;
    for (int side = 0; side < 2; ++side) {
        const float t = (side == 0 ? -b - width : -b + width) * over_a;
        if (t <= kNearest || t >= best) continue;
        const Vec3 h = o + d * t;
        if (h.y < 0 || h.y > p.size_y) continue;
        best = t;
        found = true;
        const float radius = sqrtf(h.x * h.x + h.z * h.z) + 1e-6f;
        surface.normal = normalized({h.x / radius, slope, h.z / radius});
    }
    if (fabsf(d.y) > 1e-9f) {
        const float t = -o.y / d.y;
        const Vec3 h = o + d * t;
        if (t > kNearest && t < best && h.x * h.x + h.z * h.z < p.size_x * p.size_x) {
            best = t;
            found = true;
            surface.normal = {0, -1, 0};
        }
    }
    if (!found) return false;
    surface.t = best;
    surface.local = o + d * best;
    return true;
}

// The ray surely misses a ball; a quick test before the exact ones. `m`: the origin as seen from the ball's centre.
WANDER_HOST_DEVICE inline bool misses_ball(Vec3 m, Vec3 d, float radius_squared) {
    const float along = dot(m, d);
    const float outside = dot(m, m) - radius_squared;
    return outside > 0 && (along >= 0 || outside > along * along);
}

// Nearest hit closer than `limit`; `q`: the ray's origin as seen from the middle of the primitive's base. Directions
// are unit vectors.
WANDER_HOST_DEVICE inline bool hit_primitive(const Primitive& p, Vec3 q, Vec3 direction, float limit,
                                             Surface& surface) {
    const Vec3 o{p.cos_turn * q.x - p.sin_turn * q.z, q.y, p.sin_turn * q.x + p.cos_turn * q.z};
    const Vec3 d{p.cos_turn * direction.x - p.sin_turn * direction.z, direction.y,
                 p.sin_turn * direction.x + p.cos_turn * direction.z};
    if (p.shape == Shape::ellipsoid) return hit_ellipsoid(p, o, d, limit, surface);
    if (p.shape == Shape::cone) return hit_cone(p, o, d, limit, surface);
    Span span{o, d, kNearest, limit, {}};
    bool inside = false;
    switch (p.shape) {
        case Shape::box: inside = cut_box(span, p); break;
        case Shape::gable: inside = cut_gable(span, p); break;
        case Shape::pyramid: inside = cut_pyramid(span, p); break;
        default: inside = cut_cylinder(span, p); break;
    }
    if (!inside || span.enter <= 1.0001e-4f || span.enter >= limit) return false;
    surface.t = span.enter;
    surface.normal = span.normal;
    surface.local = o + d * span.enter;
    return true;
}

} // namespace wander::scene
