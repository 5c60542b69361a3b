#include "gui/plain/figures.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <numbers>

namespace wander::gui {
namespace {

constexpr double kTurn = 2 * std::numbers::pi;

TEST(Figures, BytesInOneUnit) {
    EXPECT_EQ(unit_for(999'999), ByteUnit::kb);
    EXPECT_EQ(unit_for(16'128'000), ByteUnit::mb);
    EXPECT_EQ(unit_for(4'200'000'000), ByteUnit::gb);
    EXPECT_EQ(bytes_figure(3'900'000, ByteUnit::mb), "  3.9");
    EXPECT_EQ(bytes_figure(16'128'000, ByteUnit::mb), " 16.1");
    EXPECT_EQ(bytes_with_unit(645'120, 1), "645.1 kB");
    EXPECT_EQ(bytes_with_unit(0), "  0.0 kB");
}

TEST(Figures, WidthStaysWhileTheNumberGrows) {
    for (double value = 0; value < 999; value += 0.37) {
        EXPECT_EQ(ms_figure(value).size(), 6u) << value;
        EXPECT_EQ(fps_figure(value).size(), 5u) << value;
        EXPECT_EQ(ratio_figure(value / 10).size(), 5u) << value;
        EXPECT_EQ(bytes_figure(static_cast<std::int64_t>(value * 1e6), ByteUnit::mb).size(), 5u) << value;
    }
    EXPECT_EQ(ms_figure(999.96), "  1000");
    EXPECT_EQ(ms_figure(98.4), "  98.4");
    EXPECT_EQ(ms_figure(123456).size(), 6u);
    for (double yaw = -20; yaw < 20; yaw += 0.11) {
        EXPECT_EQ(heading_figure(yaw).size(), 3u) << yaw;
        EXPECT_EQ(heading_name(yaw).size(), 2u) << yaw;
    }
}

TEST(Figures, NothingToCompareIsNotANumber) {
    EXPECT_EQ(ratio_figure(0), " -.-x");
    EXPECT_EQ(ratio_figure(std::numeric_limits<double>::infinity()), " -.-x");
    EXPECT_EQ(ms_figure(std::numeric_limits<double>::quiet_NaN()), "   -.-");
    EXPECT_EQ(fps_figure(std::numeric_limits<double>::quiet_NaN()), "  0.0");
}

TEST(Figures, HeadingTurnsOnceRound) {
    EXPECT_EQ(heading_figure(0), "000");
    EXPECT_EQ(heading_figure(kTurn / 4), "090");
    EXPECT_EQ(heading_figure(-kTurn / 4), "270");
    EXPECT_EQ(heading_figure(kTurn * 0.9999), "000");
    EXPECT_EQ(heading_name(kTurn / 8), "NE");
    EXPECT_EQ(heading_name(-kTurn / 8), "NW");
    EXPECT_EQ(heading_name(kTurn * 0.99), "N ");
    EXPECT_EQ(pitch_figure(-0.2), "-11");
    EXPECT_EQ(pitch_figure(0.05), "+03");
}

TEST(Figures, Duration) {
    EXPECT_EQ(duration_figure(12.9), "00:12");
    EXPECT_EQ(duration_figure(3599), "59:59");
    EXPECT_EQ(duration_figure(3723), "1:02:03");
    EXPECT_EQ(duration_figure(-1), "00:00");
}

} // namespace
} // namespace wander::gui
