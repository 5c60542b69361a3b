#pragma once
// Numbers that depend on a place alone: hashes of whole coordinates, and smooth noise between them. The same bits on
// the CPU and in kernels. Pure functions, any thread.

#include "generator/world/scene/vector3.hpp"

#include <cstdint>

namespace wander::scene {

WANDER_HOST_DEVICE inline std::uint32_t hash32(std::uint32_t x) {
    x ^= x >> 16;
    x *= 0x7feb352dU;
    x ^= x >> 15;
    x *= 0x846ca68bU;
    x ^= x >> 16;
    return x;
}

// 0 <= value < 1 of a lattice point.
WANDER_HOST_DEVICE inline float lattice_value(int column, int row, std::uint32_t seed) {
    const std::uint32_t by_row = hash32(static_cast<std::uint32_t>(row) * 0x85EBCA77U + seed);
    const std::uint32_t bits = hash32((static_cast<std::uint32_t>(column) * 0x9E3779B1U) ^ by_row);
    return static_cast<float>(bits & 0xffffffU) / 16777216.0f;
}

WANDER_HOST_DEVICE inline int wrapped_index(int i, int count) {
    const int rest = i % count;
    return rest < 0 ? rest + count : rest;
}

// Values at whole coordinates, between them a cubic blend. `count` > 0: repeats after so many lattice points.
WANDER_HOST_DEVICE inline float smooth_noise(float x, float y, std::uint32_t seed, int count = 0) {
    int x0 = floor_int(x);
    int y0 = floor_int(y);
    float u = x - static_cast<float>(x0);
    float v = y - static_cast<float>(y0);
    int x1 = x0 + 1;
    int y1 = y0 + 1;
    if (count > 0) {
        x0 = wrapped_index(x0, count);
        y0 = wrapped_index(y0, count);
        x1 = wrapped_index(x0 + 1, count);
        y1 = wrapped_index(y0 + 1, count);
    }
    u = u * u * (3.0f - 2.0f * u);
    v = v * v * (3.0f - 2.0f * v);
    const float above = lattice_value(x0, y0, seed) * (1.0f - u) + lattice_value(x1, y0, seed) * u;
    const float below = lattice_value(x0, y1, seed) * (1.0f - u) + lattice_value(x1, y1, seed) * u;
    return above * (1.0f - v) + below * v;
}

} // namespace wander::scene
