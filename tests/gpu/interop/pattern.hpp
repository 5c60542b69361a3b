#pragma once
// The test pattern: every 32-bit pixel is a hash of frame number and position, so that stale, torn and shifted frames
// all differ.

#include <cstddef>
#include <cstdint>

#if defined(__CUDACC__)
#define WANDER_BOTH __host__ __device__
#else
#define WANDER_BOTH
#endif

namespace wander::render {

WANDER_BOTH inline std::uint32_t pattern_pixel(std::uint32_t frame, std::uint32_t index) {
    std::uint32_t h = frame * 0x9E3779B1u ^ index * 0x85EBCA77u;
    h ^= h >> 15;
    h *= 0xC2B2AE3Du;
    return h ^ (h >> 13);
}

// Fills `pixels` on `stream` (a cudaStream_t). `slow_rounds` makes the kernel take longer, so that reading too early
// would show.
void write_pattern(void* pixels, std::size_t pixel_count, std::uint32_t frame, int slow_rounds, void* stream);
void* make_stream();
void destroy_stream(void* stream);

} // namespace wander::render
