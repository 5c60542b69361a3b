#pragma once
// What loops need that the compiler shall turn into SIMD: versions of a function for several instruction sets, bfloat16
// as its bits, and an exponential without branches. No torch.

#include <bit>
#include <cstdint>

// Run-time dispatch by the loader; sanitizers run before the resolvers can, so they get the plain version.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define WANDER_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define WANDER_CLONES
#endif
// What a cloned function calls must become part of it, or it would be compiled for the plain instruction set alone.
#define WANDER_INLINE inline __attribute__((always_inline))

namespace wander::nn::cpu {

using Bf16Bits = std::uint16_t;

WANDER_INLINE float widen(float v) { return v; }
WANDER_INLINE float widen(Bf16Bits v) { return std::bit_cast<float>(static_cast<std::uint32_t>(v) << 16); }
WANDER_INLINE void narrow(float v, float& out) { out = v; }
// Rounds to the nearest, ties to even.
WANDER_INLINE void narrow(float v, Bf16Bits& out) {
    const auto bits = std::bit_cast<std::uint32_t>(v);
    out = static_cast<Bf16Bits>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

// exp(x) to 2 ulp for |x| <= 87: 2^n * 2^f with f in [-0.5, 0.5]. Branch free.
WANDER_INLINE float quick_exp(float x) {
    x = x < -87.0f ? -87.0f : (x > 87.0f ? 87.0f : x);
    const float t = x * 1.44269504088896f;
    const float n = static_cast<float>(static_cast<std::int32_t>(t + (t < 0 ? -0.5f : 0.5f)));
    const float f = t - n;
    float p = 1.5403530e-4f;
    p = p * f + 1.3333558e-3f;
    p = p * f + 9.6181291e-3f;
    p = p * f + 5.5504109e-2f;
    p = p * f + 2.4022651e-1f;
    p = p * f + 6.9314718e-1f;
    p = p * f + 1.0f;
    return p * std::bit_cast<float>((static_cast<std::int32_t>(n) + 127) << 23);
}

} // namespace wander::nn::cpu
