#pragma once
// Stored types in torch's words. Any thread.

#include "generator/weights/dtype.hpp"

#include <c10/core/ScalarType.h>

#include <optional>

namespace wander {

inline at::ScalarType scalar_type(Dtype dtype) {
    switch (dtype) {
        case Dtype::f64: return at::kDouble;
        case Dtype::f32: return at::kFloat;
        case Dtype::f16: return at::kHalf;
        case Dtype::bf16: return at::kBFloat16;
        case Dtype::f8_e4m3: return at::kFloat8_e4m3fn;
        case Dtype::f8_e5m2: return at::kFloat8_e5m2;
        case Dtype::i64: return at::kLong;
        case Dtype::i32: return at::kInt;
        case Dtype::i16: return at::kShort;
        case Dtype::i8: return at::kChar;
        case Dtype::u8: return at::kByte;
        case Dtype::boolean: return at::kBool;
    }
    return at::kByte;
}

// Nothing for a type that no file of ours holds.
inline std::optional<Dtype> stored_dtype(at::ScalarType type) {
    for (const Dtype dtype : {Dtype::f64, Dtype::f32, Dtype::f16, Dtype::bf16, Dtype::f8_e4m3, Dtype::f8_e5m2,
                              Dtype::i64, Dtype::i32, Dtype::i16, Dtype::i8, Dtype::u8, Dtype::boolean}) {
        if (scalar_type(dtype) == type) return dtype;
    }
    return std::nullopt;
}

} // namespace wander
