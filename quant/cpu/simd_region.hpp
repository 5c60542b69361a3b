#pragma once
// Marks a stretch of a file as compiled for a wider instruction set than the rest of the program. Only intrinsics and
// code written inside the region may be used there: an inline function of a library would be compiled twice,
// differently.

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 warns inside its own AVX-512 intrinsics, which start from registers that are undefined on purpose.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#if defined(__clang__)
#define WANDER_SIMD_BEGIN(features) \
    WANDER_SIMD_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define WANDER_SIMD_END WANDER_SIMD_PRAGMA(clang attribute pop)
#else
#define WANDER_SIMD_BEGIN(features) WANDER_SIMD_PRAGMA(GCC push_options) WANDER_SIMD_PRAGMA(GCC target(features))
#define WANDER_SIMD_END WANDER_SIMD_PRAGMA(GCC pop_options)
#endif
#define WANDER_SIMD_PRAGMA(text) _Pragma(#text)
