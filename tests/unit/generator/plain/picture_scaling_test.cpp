// Scaled pictures: what the goldens do not have.

#include "generator/vision/plain/picture_scaling.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace wander {
namespace {

Picture noise(int width, int height, unsigned seed) {
    std::minstd_rand random(seed);
    Picture picture{{width, height}, {}};
    for (int i = 0; i < width * height * 3; ++i) picture.rgb.push_back(static_cast<std::uint8_t>(random() >> 8));
    return picture;
}

Picture crop(const Picture& picture, int left, int top, PictureSize size) {
    Picture out{size, {}};
    for (int y = 0; y < size.height; ++y) {
        const auto* first = picture.row(top + y) + left * 3;
        out.rgb.insert(out.rgb.end(), first, first + size.width * 3);
    }
    return out;
}

TEST(PictureScaling, OneColourStaysThatColour) {
    for (const auto filter : {PictureFilter::bicubic, PictureFilter::lanczos}) {
        for (const PictureSize size : {PictureSize{1, 1}, {7, 90}, {90, 7}, {64, 48}}) {
            Picture grey{{33, 21}, std::vector<std::uint8_t>(33 * 21 * 3, 201)};
            const Picture scaled = scale_picture(grey, size, filter);
            EXPECT_EQ(scaled.size, size);
            EXPECT_EQ(std::count(scaled.rgb.begin(), scaled.rgb.end(), 201), std::ssize(scaled.rgb));
        }
    }
}

TEST(PictureScaling, AnAxisThatStaysIsLeftAlone) {
    const Picture picture = noise(19, 11, 1);
    EXPECT_EQ(scale_picture(picture, picture.size, PictureFilter::lanczos).rgb, picture.rgb);
    // Both passes together are the one after the other.
    const Picture rows = scale_picture(picture, {40, 11}, PictureFilter::bicubic);
    EXPECT_EQ(scale_picture(rows, {40, 6}, PictureFilter::bicubic).rgb,
              scale_picture(picture, {40, 6}, PictureFilter::bicubic).rgb);
}

// Only the wanted part is computed; it must be the part of the whole.
TEST(PictureScaling, CoverIsTheMiddleOfTheWholeScaledPicture) {
    const struct {
        PictureSize picture, covered;
        int left, top;
    } cases[] = {{{90, 50}, {115, 64}, 2, 0},
                 {{60, 131}, {112, 245}, 0, 90},
                 {{224, 128}, {112, 64}, 0, 0},
                 {{112, 70}, {112, 70}, 0, 3}};
    for (const auto& it : cases) {
        const Picture picture = noise(it.picture.width, it.picture.height, 7);
        const Picture whole = scale_picture(picture, it.covered, PictureFilter::lanczos);
        EXPECT_EQ(cover_and_crop(picture, {112, 64}).rgb, crop(whole, it.left, it.top, {112, 64}).rgb)
            << it.picture.width << " x " << it.picture.height;
    }
    // A strip whose scaled whole would have 16,384 x 8,000,000 pixels.
    EXPECT_EQ(cover_and_crop(noise(16384, 1, 3), {832, 480}).rgb.size(), 832u * 480 * 3);
}

// The weighted mean in double, written as the formula is.
TEST(PictureScaling, AgreesWithItsPlainTwin) {
    const auto plain = [](const std::vector<double>& in, int to) {
        const double scale = static_cast<double>(in.size()) / to, wide = std::max(scale, 1.0);
        std::vector<double> out;
        for (int i = 0; i < to; ++i) {
            const double center = (i + 0.5) * scale;
            double sum = 0, weights = 0;
            for (std::size_t x = 0; x < in.size(); ++x) {
                const double d = std::abs((static_cast<double>(x) + 0.5 - center) / wide);
                const double w = d < 1   ? 1.5 * d * d * d - 2.5 * d * d + 1
                                 : d < 2 ? -0.5 * d * d * d + 2.5 * d * d - 4 * d + 2
                                         : 0;
                sum += w * in[x];
                weights += w;
            }
            out.push_back(std::clamp(sum / weights, 0.0, 255.0));
        }
        return out;
    };
    const Picture row = noise(57, 1, 11);
    for (const int to : {5, 40, 57, 58, 200}) {
        const Picture scaled = scale_picture(row, {to, 1}, PictureFilter::bicubic);
        for (int colour = 0; colour < 3; ++colour) {
            std::vector<double> in;
            for (int x = 0; x < 57; ++x) in.push_back(row.rgb[static_cast<std::size_t>(3 * x + colour)]);
            const auto expected = plain(in, to);
            for (int x = 0; x < to; ++x) {
                // Half a level of rounding; the window ends at whole pixels.
                EXPECT_NEAR(scaled.rgb[static_cast<std::size_t>(3 * x + colour)], expected[static_cast<std::size_t>(x)],
                            0.51)
                    << to << " " << x;
            }
        }
    }
}

TEST(PictureBuckets, OfTheUsualShapes) {
    const auto buckets = picture_buckets();
    EXPECT_EQ(nearest_bucket({1920, 1080}, buckets), (PictureSize{848, 480}));
    EXPECT_EQ(nearest_bucket({832, 480}, buckets), (PictureSize{832, 480}));
    EXPECT_EQ(nearest_bucket({500, 500}, buckets), (PictureSize{640, 640}));
    EXPECT_EQ(nearest_bucket({10000, 1}, buckets), (PictureSize{1280, 320})) << "no further than 4 to 1";
    for (const PictureSize bucket : buckets) {
        EXPECT_LE(bucket.width * bucket.height, 640 * 640);
        EXPECT_EQ(bucket.width % 16 + bucket.height % 16, 0);
    }
}

} // namespace
} // namespace wander
