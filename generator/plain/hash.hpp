#pragma once
// Hashes from which keyed random numbers are made. No library generator is used anywhere: the same key gives the same
// numbers on every machine. Pure, any thread.

#include <cstdint>
#include <span>
#include <string_view>

namespace wander {

inline std::uint64_t splitmix64(std::uint64_t z) {
    z += 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

inline constexpr std::uint64_t kFnvStart = 0xcbf29ce484222325ULL;

// 64-bit FNV-1a; goes on from `hash`.
inline std::uint64_t fnv1a64(std::string_view text, std::uint64_t hash = kFnvStart) {
    for (const char c : text) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3ULL;
    return hash;
}
inline std::uint64_t fnv1a64(std::span<const std::uint8_t> bytes, std::uint64_t hash = kFnvStart) {
    for (const std::uint8_t byte : bytes) hash = (hash ^ byte) * 0x100000001b3ULL;
    return hash;
}

} // namespace wander
