#include "tests/support/random_weights.hpp"

#include "generator/plain/hash.hpp"

#include <c10/util/Half.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

namespace wander::test {
namespace {

// Prime, so that the rows of a large matrix do not repeat.
constexpr std::size_t kCount = 4'194'301;

std::uint16_t bf16(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    return static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16); // to nearest, ties to even
}

struct Scale {
    float factor = 1;
    float offset = 0;
};

// Variance 1 / fan-in, gains near one, small biases; what a part needs beyond that.
Scale scale_of(const std::string& native, const std::vector<std::int64_t>& shape) {
    std::int64_t fan_in = 1;
    for (std::size_t i = 1; i < shape.size(); ++i) fan_in *= shape[i];
    // Gains of norms: that is what they are called, or what has one value a channel.
    if (shape.size() == 1 && native.ends_with("weight")) return {0.1F, 1};
    if (native.ends_with("gamma") || (native.find("norm") != std::string::npos && native.ends_with("weight")))
        return {0.1F, 1};
    if (native.ends_with("bias") || native.find("modulation") != std::string::npos) return {0.05F, 0};
    if (native == "token_embedding.weight") return {1, 0};
    auto factor = static_cast<float>(1 / std::sqrt(static_cast<double>(fan_in)));
    // umT5 does not divide attention by the root of the head's width: its weights do.
    if (native.ends_with("attn.q.weight") && native.find("self_attn") == std::string::npos &&
        native.find("cross_attn") == std::string::npos)
        factor /= 8;
    return {factor, 0};
}

} // namespace

RandomWeights::RandomWeights(std::uint64_t seed) : seed_(seed), normal_(kCount + 1) {
    const auto uniform = [](std::uint64_t bits) { return (static_cast<double>(bits >> 40) + 0.5) * 0x1p-24; };
    for (std::size_t i = 0; i < kCount; i += 2) {
        const double radius = std::sqrt(-2 * std::log(uniform(splitmix64(seed + 2 * i))));
        const double angle = 2 * std::numbers::pi * uniform(splitmix64(seed + 2 * i + 1));
        normal_[i] = static_cast<float>(radius * std::cos(angle));
        normal_[i + 1] = static_cast<float>(radius * std::sin(angle));
    }
}

void RandomWeights::fill(const std::string& native, Dtype dtype, const std::vector<std::int64_t>& shape,
                         std::size_t begin, std::size_t count, void* out) const {
    const Scale scale = scale_of(native, shape);
    std::size_t at = (splitmix64(fnv1a64(native, kFnvStart ^ seed_)) % kCount + begin) % kCount;
    auto* wide = static_cast<float*>(out);
    auto* narrow = static_cast<std::uint16_t*>(out);
    while (count > 0) {
        const std::size_t some = std::min(count, kCount - at);
        const float* from = normal_.data() + at;
        if (dtype == Dtype::f32) {
            for (std::size_t i = 0; i < some; ++i) wide[i] = from[i] * scale.factor + scale.offset;
        } else if (dtype == Dtype::bf16) {
            for (std::size_t i = 0; i < some; ++i) narrow[i] = bf16(from[i] * scale.factor + scale.offset);
        } else {
            for (std::size_t i = 0; i < some; ++i) narrow[i] = c10::Half(from[i] * scale.factor + scale.offset).x;
        }
        wide += some;
        narrow += some;
        count -= some;
        at = (at + some) % kCount;
    }
}

} // namespace wander::test
