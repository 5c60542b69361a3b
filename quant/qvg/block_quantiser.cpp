#include "quant/qvg/block_quantiser.hpp"

#include "quant/qvg/number_formats.hpp"

#include <algorithm>
#include <cmath>

namespace wander::quant::qvg {
namespace {

constexpr float kLeastScale = 1e-10F;

} // namespace

BlockScale quantise_block(const float* values, int count, int bits, bool asymmetric, std::uint8_t* codes) {
    const int symmetric_max = (1 << (bits - 1)) - 1;
    const int levels = asymmetric ? (1 << bits) - 1 : symmetric_max;
    float low = values[0];
    float high = values[0];
    float magnitude = 0;
    for (int i = 0; i < count; ++i) {
        low = std::min(low, values[i]);
        high = std::max(high, values[i]);
        magnitude = std::max(magnitude, std::fabs(values[i]));
    }
    const float range = asymmetric ? high - low : magnitude;
    const float wanted = levels == 1 ? range : range * (1.0F / static_cast<float>(levels));
    BlockScale out;
    out.scale = float_to_e4m3(std::max(wanted, kLeastScale));
    out.zero = asymmetric ? float_to_e4m3(low) : std::uint8_t{0};
    const int offset = asymmetric ? 0 : symmetric_max;
    if (out.scale == 0) {
        std::fill(codes, codes + count, static_cast<std::uint8_t>(offset));
        return out;
    }
    const float reciprocal = 1.0F / e4m3_to_float(out.scale);
    const float zero = e4m3_to_float(out.zero);
    for (int i = 0; i < count; ++i) {
        const float value = asymmetric ? values[i] - zero : values[i];
        const float code = std::round(value * reciprocal); // halves go away from zero
        const float least = asymmetric ? 0.0F : -static_cast<float>(symmetric_max);
        codes[i] =
            static_cast<std::uint8_t>(static_cast<int>(std::clamp(code, least, static_cast<float>(levels))) + offset);
    }
    return out;
}

} // namespace wander::quant::qvg
