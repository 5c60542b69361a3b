// E4M3 as the codec rounds it: to nearest, ties to even, no infinity.
#include "quant/qvg/number_formats.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>

namespace wander::quant::qvg {
namespace {

TEST(NumberFormats, E4m3RoundsToNearestEvenAndSaturates) {
    for (int byte = 0; byte < 256; ++byte) {
        if ((byte & 0x7F) != 0x7F) {
            EXPECT_EQ(float_to_e4m3(e4m3_to_float(static_cast<std::uint8_t>(byte))), byte);
        }
    }
    for (int byte = 0; byte < 126; ++byte) {
        const float low = e4m3_to_float(static_cast<std::uint8_t>(byte));
        const float high = e4m3_to_float(static_cast<std::uint8_t>(byte + 1));
        const float half = 0.5F * (low + high);
        EXPECT_EQ(float_to_e4m3(half), byte % 2 == 0 ? byte : byte + 1);
        EXPECT_EQ(float_to_e4m3(std::nextafter(half, 0.0F)), byte);
        EXPECT_EQ(float_to_e4m3(std::nextafter(half, 1000.0F)), byte + 1);
    }
    EXPECT_EQ(float_to_e4m3(1e9F), 0x7E);
    EXPECT_EQ(float_to_e4m3(-1e9F), 0xFE);
    EXPECT_EQ(float_to_e4m3(1e-10F), 0);
}

} // namespace
} // namespace wander::quant::qvg
