#pragma once
// Room-internal: a camera matrix into a row of a float32 tensor.

#include "generator/camera/prope.hpp"

namespace wander {

inline void store_matrix(const Matrix4& matrix, float* out) {
    for (const double value : matrix) *out++ = static_cast<float>(value);
}

} // namespace wander
