#pragma once
// Three floats and the few scalar helpers of the ray code, on the CPU and in kernels. Pure functions, any thread.

#include "quant/plain/host_device.hpp"

#include <cmath>

namespace wander::scene {

struct Vec3 {
    float x = 0;
    float y = 0;
    float z = 0;
};

WANDER_HOST_DEVICE inline Vec3 operator+(Vec3 a, Vec3 b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
WANDER_HOST_DEVICE inline Vec3 operator-(Vec3 a, Vec3 b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
WANDER_HOST_DEVICE inline Vec3 operator*(Vec3 a, float s) { return {a.x * s, a.y * s, a.z * s}; }
WANDER_HOST_DEVICE inline Vec3 operator*(Vec3 a, Vec3 b) { return {a.x * b.x, a.y * b.y, a.z * b.z}; }
WANDER_HOST_DEVICE inline float dot(Vec3 a, Vec3 b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
WANDER_HOST_DEVICE inline Vec3 normalized(Vec3 a) { return a * (1.0f / sqrtf(dot(a, a) + 1e-12f)); }
WANDER_HOST_DEVICE inline Vec3 mix(Vec3 a, Vec3 b, float share) { return a * (1.0f - share) + b * share; }

WANDER_HOST_DEVICE inline float smaller(float a, float b) { return a < b ? a : b; }
WANDER_HOST_DEVICE inline float larger(float a, float b) { return a > b ? a : b; }
WANDER_HOST_DEVICE inline float clamped(float x, float low, float high) {
    return x < low ? low : (x > high ? high : x);
}
// 0 at `from`, 1 at `to`, smooth between; from > to turns it round.
WANDER_HOST_DEVICE inline float smooth_step(float from, float to, float x) {
    const float t = clamped((x - from) / (to - from), 0.0f, 1.0f);
    return t * t * (3.0f - 2.0f * t);
}
// The whole number below. Without SSE4.1 floorf is a call; coordinates here are far below 2^31.
WANDER_HOST_DEVICE inline int floor_int(float x) {
    const int toward_zero = static_cast<int>(x);
    return toward_zero - (static_cast<float>(toward_zero) > x ? 1 : 0);
}
WANDER_HOST_DEVICE inline float floored(float x) { return static_cast<float>(floor_int(x)); }
WANDER_HOST_DEVICE inline float fraction(float x) { return x - floored(x); }
WANDER_HOST_DEVICE inline float to_8th(float x) {
    const float squared = x * x;
    const float to_4th = squared * squared;
    return to_4th * to_4th;
}

} // namespace wander::scene
