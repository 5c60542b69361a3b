#pragma once
// Counter-based random numbers: a value depends on a key and a counter alone, never on what was drawn before. So adding
// a rule, a thread or a device changes nothing else. Pure functions, any thread. No torch.

#include "generator/plain/hash.hpp"

#include <cstdint>
#include <string_view>

namespace wander {

class KeyedRandom {
public:
    explicit KeyedRandom(std::uint64_t key) : key_(splitmix64(key)) {}

    // A source of its own for a part of the matter.
    KeyedRandom child(std::uint64_t number) const { return KeyedRandom(key_ ^ splitmix64(number + kStep)); }
    KeyedRandom child(std::string_view name) const { return child(fnv1a64(name)); }

    std::uint64_t bits(std::uint64_t counter) const { return splitmix64(key_ + kStep * counter); }
    // 0 <= value < 1, 24 bits: the same in float and double.
    double unit(std::uint64_t counter) const { return static_cast<double>(bits(counter) >> 40) / 16777216.0; }
    double between(std::uint64_t counter, double low, double high) const { return low + (high - low) * unit(counter); }
    // 0 .. count - 1.
    int below(std::uint64_t counter, int count) const { return static_cast<int>(unit(counter) * count); }

private:
    static constexpr std::uint64_t kStep = 0x9e3779b97f4a7c15ULL;
    std::uint64_t key_;
};

} // namespace wander
