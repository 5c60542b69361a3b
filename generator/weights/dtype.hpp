#pragma once
// Types of stored tensor elements, as files name them. Pure data.

#include <cstdint>

namespace wander {

enum class Dtype { f64, f32, f16, bf16, f8_e4m3, f8_e5m2, i64, i32, i16, i8, u8, boolean };

constexpr std::uint64_t dtype_bytes(Dtype dtype) {
    switch (dtype) {
        case Dtype::f64:
        case Dtype::i64: return 8;
        case Dtype::f32:
        case Dtype::i32: return 4;
        case Dtype::f16:
        case Dtype::bf16:
        case Dtype::i16: return 2;
        case Dtype::f8_e4m3:
        case Dtype::f8_e5m2:
        case Dtype::i8:
        case Dtype::u8:
        case Dtype::boolean: return 1;
    }
    return 1;
}

// As safetensors writes them: "BF16".
constexpr const char* dtype_name(Dtype dtype) {
    switch (dtype) {
        case Dtype::f64: return "F64";
        case Dtype::f32: return "F32";
        case Dtype::f16: return "F16";
        case Dtype::bf16: return "BF16";
        case Dtype::f8_e4m3: return "F8_E4M3";
        case Dtype::f8_e5m2: return "F8_E5M2";
        case Dtype::i64: return "I64";
        case Dtype::i32: return "I32";
        case Dtype::i16: return "I16";
        case Dtype::i8: return "I8";
        case Dtype::u8: return "U8";
        case Dtype::boolean: return "BOOL";
    }
    return "?";
}

} // namespace wander
