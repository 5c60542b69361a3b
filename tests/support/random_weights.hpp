#pragma once
// Random values of weights that keep activations sane: a tensor's values depend on its native name and a seed alone,
// whatever file and type it is written to. Any thread.

#include "generator/weights/dtype.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace wander::test {

class RandomWeights {
public:
    explicit RandomWeights(std::uint64_t seed);

    // Elements begin .. begin + count of a tensor; f32, f16 or bf16.
    void fill(const std::string& native, Dtype dtype, const std::vector<std::int64_t>& shape, std::size_t begin,
              std::size_t count, void* out) const;

private:
    const std::uint64_t seed_;
    std::vector<float> normal_; // a few million normal numbers; every tensor reads from a place of its own
};

} // namespace wander::test
