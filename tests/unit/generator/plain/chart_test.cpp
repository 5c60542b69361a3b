#include "generator/chart/contact_sheet.hpp"
#include "generator/chart/line_plot.hpp"

#include "tests/unit/render_video/test_folder.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>

namespace wander::chart {
namespace {

const std::filesystem::path kAssets = std::filesystem::path(WANDER_SOURCE_DIR) / "assets";
constexpr Colour kWhite{255, 255, 255};
constexpr Colour kBlack{0, 0, 0};
constexpr Colour kRed{255, 0, 0};
constexpr Colour kBlue{0, 0, 255};

Font font() {
    auto loaded = Font::load(kAssets);
    EXPECT_TRUE(loaded) << (loaded ? "" : loaded.error().message);
    return *loaded;
}

int pixels_of(const Canvas& canvas, const Box& box, Colour colour) {
    int count = 0;
    for (int y = box.top; y < box.bottom; ++y) {
        for (int x = box.left; x < box.right; ++x) count += canvas.at(x, y) == colour ? 1 : 0;
    }
    return count;
}

std::vector<std::uint8_t> flat(int width, int height, Colour colour) {
    std::vector<std::uint8_t> rgb;
    for (int i = 0; i < width * height; ++i) rgb.insert(rgb.end(), {colour.red, colour.green, colour.blue});
    return rgb;
}

bool nearly(Colour a, Colour b) {
    return std::abs(a.red - b.red) + std::abs(a.green - b.green) + std::abs(a.blue - b.blue) < 120;
}

TEST(Canvas, AnUprightLineCoversItsPixelsAlone) {
    Canvas canvas(20, 10, kWhite);
    canvas.line(10, 2, 10, 8, 2, kBlack); // columns 9 and 10
    EXPECT_EQ(canvas.at(9, 5), kBlack);
    EXPECT_EQ(canvas.at(10, 5), kBlack);
    EXPECT_EQ(canvas.at(7, 5), kWhite);
    EXPECT_EQ(canvas.at(12, 5), kWhite);
    EXPECT_EQ(canvas.at(9, 0), kWhite);
}

TEST(Canvas, HalfCoverIsHalfInk) {
    Canvas canvas(20, 10, kWhite);
    canvas.line(10.5, -5, 10.5, 20, 2, kBlack); // columns 9.5 to 11.5
    EXPECT_NEAR(canvas.at(9, 5).red, 127, 1);
    EXPECT_EQ(canvas.at(10, 5), kBlack);
    EXPECT_NEAR(canvas.at(11, 5).red, 127, 1);
}

TEST(Canvas, DrawingOutsideIsCutOff) {
    Canvas canvas(8, 8, kWhite);
    canvas.fill(-4, -4, 8, 8, kRed);
    canvas.picture(6, 6, 4, 4, flat(4, 4, kBlue));
    canvas.picture(-40, 2, 4, 4, flat(4, 4, kBlue));
    canvas.line(-100, 4, 100, 4, 1, kBlack);
    EXPECT_EQ(pixels_of(canvas, {0, 0, 4, 3}, kRed), 12);
    EXPECT_EQ(pixels_of(canvas, {6, 6, 8, 8}, kBlue), 4);
    EXPECT_EQ(pixels_of(canvas, {0, 0, 8, 8}, kBlue), 4);
    canvas.text(font(), 14, -20, -3, "outside", kBlack);
}

TEST(Canvas, TextHasItsWidthAndAnchors) {
    const Font roboto = font();
    const double width = roboto.width_of("Sharpness 0.85", 16);
    EXPECT_NEAR(roboto.width_of("Sharpness 0.85", 32), 2 * width, 1e-3);
    Canvas canvas(200, 40, kWhite);
    canvas.text(roboto, 16, 190, 20, "Sharpness 0.85", kBlack, Anchor::end, Anchor::middle);
    const auto inked = [&](const Box& box) {
        return (box.right - box.left) * (box.bottom - box.top) - pixels_of(canvas, box, kWhite);
    };
    EXPECT_EQ(inked({0, 0, static_cast<int>(190 - width) - 2, 40}), 0);
    EXPECT_EQ(inked({191, 0, 200, 40}), 0);
    EXPECT_EQ(inked({0, 0, 200, 10}), 0);
    EXPECT_EQ(inked({0, 30, 200, 40}), 0);
    EXPECT_GT(inked({static_cast<int>(190 - width), 10, 191, 30}), 150);
}

TEST(Canvas, AMissingOrForeignFontIsNamed) {
    const test::TestFolder folder;
    std::filesystem::create_directories(folder / "fonts");
    const auto missing = Font::load(folder.path());
    ASSERT_FALSE(missing);
    EXPECT_NE(missing.error().message.find("Roboto-Regular.ttf"), std::string::npos);
    std::ofstream(folder / "fonts/Roboto-Regular.ttf") << "this is no font at all, but long enough to have a header";
    EXPECT_FALSE(Font::load(folder.path()));
}

TEST(LinePlot, TicksAreRoundAndInside) {
    EXPECT_EQ(nice_ticks(0, 60), (std::vector<double>{0, 10, 20, 30, 40, 50, 60}));
    for (const auto& [low, high] :
         std::vector<std::pair<double, double>>{{-3.2, 7.7}, {21.3, 29.9}, {0, 1e-4}, {1e6, 9e6}}) {
        const auto ticks = nice_ticks(low, high);
        EXPECT_GE(ticks.size(), 3u);
        EXPECT_LE(ticks.size(), 10u);
        EXPECT_GE(ticks.front(), low - (high - low) * 1e-6);
        EXPECT_LE(ticks.back(), high + (high - low) * 1e-6);
        EXPECT_TRUE(std::ranges::is_sorted(ticks));
    }
}

TEST(LinePlot, PointsLieWhereTheFrameSays) {
    const PlotSeries series{"model", {0, 10, 20}, {20, 28, 24}, false, kRed};
    const auto plot = draw_plot({{{"PSNR", "s", "dB", false, {{0.0, 20.0}}, {{18.0, 30.0}}}, {series}}}, font());
    ASSERT_TRUE(plot);
    const PlotFrame& frame = plot->frames.at(0);
    EXPECT_DOUBLE_EQ(frame.pixel_x(0), frame.left);
    EXPECT_DOUBLE_EQ(frame.pixel_y(18), frame.bottom);
    EXPECT_DOUBLE_EQ(frame.pixel_y(30), frame.top);
    for (const double x : {5.0, 15.0}) { // half way along both segments
        const double y = x == 5.0 ? 24 : 26;
        EXPECT_TRUE(
            nearly(plot->canvas.at(static_cast<int>(frame.pixel_x(x)), static_cast<int>(frame.pixel_y(y))), kRed))
            << x;
    }
    // Nothing red away from the line and its legend.
    EXPECT_FALSE(
        nearly(plot->canvas.at(static_cast<int>(frame.pixel_x(5)), static_cast<int>(frame.pixel_y(20))), kRed));
    EXPECT_GT(pixels_of(plot->canvas, {0, 0, plot->canvas.width(), static_cast<int>(frame.top)}, kRed), 20);
}

TEST(LinePlot, ValuesOutsideOfTheRangeStayInsideTheBox) {
    const PlotSeries series{"", {0, 1, 2}, {0, 500, 0}, true, kRed};
    const auto plot = draw_plot({{{"", "", "", false, {}, {{-1.0, 1.0}}}, {series}}}, font());
    ASSERT_TRUE(plot);
    const PlotFrame& frame = plot->frames.at(0);
    EXPECT_EQ(pixels_of(plot->canvas, {0, 0, plot->canvas.width(), static_cast<int>(frame.top)}, kRed), 0);
    EXPECT_GT(pixels_of(plot->canvas,
                        {0, static_cast<int>(frame.top), plot->canvas.width(), static_cast<int>(frame.bottom)}, kRed),
              5);
}

TEST(LinePlot, AGapIsLeftOutAndLogarithmsTakeNoZero) {
    const double none = std::numeric_limits<double>::quiet_NaN();
    const PlotSeries gap{"", {0, 1, 2, 3}, {1, none, 1, 1}, false, kRed};
    const auto plot = draw_plot({{{"", "", "", false, {{0.0, 3.0}}, {{0.0, 2.0}}}, {gap}}}, font());
    ASSERT_TRUE(plot);
    const PlotFrame& frame = plot->frames.at(0);
    const int y = static_cast<int>(frame.pixel_y(1));
    EXPECT_TRUE(nearly(plot->canvas.at(static_cast<int>(frame.pixel_x(2.5)), y), kRed));
    EXPECT_FALSE(nearly(plot->canvas.at(static_cast<int>(frame.pixel_x(1.5)), y), kRed));

    const PlotSeries loss{"loss", {0, 1, 2}, {1, 0, 0.01}, false, {}};
    const auto logarithmic = draw_plot({{{"", "", "", true, {}, {}}, {loss}}}, font());
    ASSERT_TRUE(logarithmic);
    EXPECT_LT(logarithmic->frames[0].y_low, -2);
    EXPECT_GT(logarithmic->frames[0].y_high, 0);
    EXPECT_TRUE(std::isfinite(logarithmic->frames[0].y_low));
}

TEST(LinePlot, WrongSeriesAndSizesAreRefused) {
    EXPECT_FALSE(draw_plot({{{}, {{"odd", {1, 2}, {1}, false, {}}}}}, font()));
    EXPECT_FALSE(draw_plot({}, font()));
    EXPECT_FALSE(draw_plot({{}}, font(), {10, 10}));
    EXPECT_TRUE(draw_plot({{}}, font())) << "no points yet: an empty frame";
}

TEST(LinePlot, AFileIsWrittenOrTheReasonSaid) {
    const test::TestFolder folder;
    const std::vector<PlotSeries> series = {{"a", {0, 1}, {0, 1}, true, {}}};
    ASSERT_TRUE(write_plot(folder / "plot.png", series, {"t", "x", "y", false, {}, {}}, kAssets));
    std::ifstream in(folder / "plot.png", std::ios::binary);
    std::string head(4, 0);
    in.read(head.data(), 4);
    EXPECT_EQ(head, "\x89PNG");
    const auto failed = write_plot(folder / "no/plot.png", series, {}, kAssets);
    ASSERT_FALSE(failed);
    EXPECT_NE(failed.error().message.find("no/plot.png"), std::string::npos);
}

TEST(ContactSheet, EveryPictureHasItsPlace) {
    ContactSheet sheet;
    sheet.title = "walks";
    sheet.width = 20;
    sheet.height = 10;
    sheet.columns = {"1 s", "2 s"};
    sheet.rows = {{"truth", {flat(20, 10, kRed), flat(20, 10, kBlue)}, false}, {"model", {flat(20, 10, kBlue)}, true}};
    const auto canvas = contact_sheet(sheet, font());
    ASSERT_TRUE(canvas);
    const Box whole{0, 0, canvas->width(), canvas->height()};
    EXPECT_EQ(pixels_of(*canvas, whole, kRed), 200);
    EXPECT_EQ(pixels_of(*canvas, whole, kBlue), 400);
    // The red picture lies left of the blue one of its row and above the model's.
    int red_right = 0;
    int red_bottom = 0;
    for (int y = 0; y < canvas->height(); ++y) {
        for (int x = 0; x < canvas->width(); ++x) {
            if (!(canvas->at(x, y) == kRed)) continue;
            red_right = std::max(red_right, x);
            red_bottom = std::max(red_bottom, y);
        }
    }
    EXPECT_EQ(pixels_of(*canvas, {red_right + 1, 0, canvas->width(), red_bottom + 1}, kBlue), 200);
    EXPECT_EQ(pixels_of(*canvas, {0, red_bottom + 1, red_right + 1, canvas->height()}, kBlue), 200);
}

TEST(ContactSheet, WrongPicturesAreRefused) {
    ContactSheet sheet;
    sheet.width = 20;
    sheet.height = 10;
    sheet.columns = {"1 s"};
    sheet.rows = {{"truth", {flat(19, 10, kRed)}, false}};
    EXPECT_FALSE(contact_sheet(sheet, font()));
    sheet.rows = {{"truth", {flat(20, 10, kRed), flat(20, 10, kRed)}, false}};
    EXPECT_FALSE(contact_sheet(sheet, font()));
    EXPECT_FALSE(contact_sheet({}, font()));
}

} // namespace
} // namespace wander::chart
