#include "render/plain/upscale_reference.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace wander::render {
namespace {

PixelView view(const Pixels& pixels) { return {pixels.size, pixels.rgba.data()}; }

template <typename At>
Pixels make(PixelSize size, At at) {
    Pixels pixels{size, std::vector<std::uint8_t>(size.bytes(), 255)};
    for (int y = 0; y < size.height; ++y) {
        for (int x = 0; x < size.width; ++x) {
            const std::array<int, 3> c = at(x, y);
            for (std::size_t i = 0; i < 3; ++i) {
                pixels.rgba[static_cast<std::size_t>(y * size.width + x) * 4 + i] = static_cast<std::uint8_t>(c[i]);
            }
        }
    }
    return pixels;
}

const std::array<UpscaleMode, 3> kModes = {UpscaleMode::nearest, UpscaleMode::bicubic, UpscaleMode::sharp};

TEST(UpscaleReference, FlatColourStaysFlat) {
    const Pixels flat = make({16, 12}, [](int, int) { return std::array{37, 150, 220}; });
    const Pixels wanted = make({101, 77}, [](int, int) { return std::array{37, 150, 220}; });
    for (const UpscaleMode mode : kModes) {
        const Pixels out = upscale_reference(view(flat), wanted.size, mode);
        EXPECT_GE(psnr_db(view(out), view(wanted)), 99.0) << kUpscaleModeNames[static_cast<std::size_t>(mode)];
    }
}

TEST(UpscaleReference, NearestRepeatsPixels) {
    const Pixels source = make({5, 4}, [](int x, int y) { return std::array{x * 50, y * 60, 9}; });
    const Pixels out = upscale_reference(view(source), {15, 12}, UpscaleMode::nearest);
    for (int y = 0; y < 12; ++y) {
        for (int x = 0; x < 15; ++x) {
            EXPECT_EQ(out.rgba[static_cast<std::size_t>(y * 15 + x) * 4], x / 3 * 50);
            EXPECT_EQ(out.rgba[static_cast<std::size_t>(y * 15 + x) * 4 + 1], y / 3 * 60);
        }
    }
}

// A step between two strong colours, slanted: sharp never leaves the colours on the line between them (no halo, no
// fringe), and its blend is narrower than the bicubic one. The reference "truth" is the analytic edge.
TEST(UpscaleReference, SharpEdgesHaveNeitherHaloNorFringe) {
    const std::array<int, 3> dark = {20, 40, 160};
    const std::array<int, 3> light = {230, 190, 60};
    const auto coverage = [](double x, double y) { return std::clamp(x - 12 + (y - 12) * 0.45 + 0.5, 0.0, 1.0); };
    const Pixels source = make({24, 24}, [&](int x, int y) {
        std::array<int, 3> c;
        for (std::size_t i = 0; i < 3; ++i) {
            c[i] = static_cast<int>(std::lround(dark[i] + (light[i] - dark[i]) * coverage(x + 0.5, y + 0.5)));
        }
        return c;
    });
    const int scale = 7;
    const auto blended = [&](UpscaleMode mode, double& worst_fringe) {
        const Pixels out = upscale_reference(view(source), {24 * scale, 24 * scale}, mode);
        int count = 0;
        for (std::size_t i = 0; i < out.rgba.size(); i += 4) {
            double t[3];
            for (std::size_t c = 0; c < 3; ++c) {
                t[c] = (out.rgba[i + c] - dark[c]) / static_cast<double>(light[c] - dark[c]);
                worst_fringe = std::max({worst_fringe, -t[c], t[c] - 1});
            }
            worst_fringe = std::max({worst_fringe, std::abs(t[0] - t[1]), std::abs(t[0] - t[2])});
            count += t[0] > 0.1 && t[0] < 0.9;
        }
        return count;
    };
    double sharp_fringe = 0, bicubic_fringe = 0;
    const int sharp = blended(UpscaleMode::sharp, sharp_fringe);
    const int bicubic = blended(UpscaleMode::bicubic, bicubic_fringe);
    EXPECT_LT(sharp_fringe, 0.03);   // rounding to bytes
    EXPECT_GT(bicubic_fringe, 0.03); // the check can fail: Catmull-Rom overshoots
    EXPECT_LT(sharp, bicubic);
}

TEST(UpscaleReference, LimitedWorkIsStretched) {
    const Pixels source = make({20, 12}, [](int x, int y) { return std::array{x * 12, y * 20, (x + y) * 7}; });
    const Pixels full = upscale_reference(view(source), {120, 72}, UpscaleMode::sharp);
    const Pixels limited = upscale_reference(view(source), {120, 72}, UpscaleMode::sharp, 3);
    EXPECT_EQ(limited.size, full.size);
    EXPECT_GT(psnr_db(view(full), view(limited)), 40.0);
}

TEST(Letterbox, CentresAndKeepsTheAspect) {
    const PixelRect wide = letterbox({0, 30, 1000, 600}, {192, 112}, {1280, 720});
    EXPECT_EQ(wide.size, (PixelSize{1000, 583}));
    EXPECT_EQ(wide.x, 0);
    EXPECT_EQ(wide.y, 38);
    const PixelRect tall = letterbox({100, 0, 2000, 112}, {192, 112}, {1280, 720}); // reaches beyond the target
    EXPECT_EQ(tall.size, (PixelSize{192, 112}));
    EXPECT_GE(tall.x, 100);
    EXPECT_LE(tall.x + tall.size.width, 1280);
    EXPECT_TRUE(letterbox({2000, 0, 10, 10}, {192, 112}, {1280, 720}).size.empty());
}

} // namespace
} // namespace wander::render
