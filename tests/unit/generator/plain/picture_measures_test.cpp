#include "generator/evaluate/plain/picture_measures.hpp"
#include "generator/evaluate/plain/statistics.hpp"

#include <gtest/gtest.h>

#include <random>

namespace wander::evaluate {
namespace {

constexpr int kWidth = 24;
constexpr int kHeight = 16;

Picture noise(unsigned seed, int low, int high) {
    std::mt19937 draw(seed);
    Picture picture(kWidth * kHeight * 3);
    for (auto& value : picture)
        value = static_cast<std::uint8_t>(low + static_cast<int>(draw() % static_cast<unsigned>(high - low)));
    return picture;
}

Picture flat(int red, int green, int blue) {
    Picture picture;
    for (int i = 0; i < kWidth * kHeight; ++i) {
        for (const int value : {red, green, blue}) picture.push_back(static_cast<std::uint8_t>(value));
    }
    return picture;
}

TEST(PictureMeasures, AKnownDifferenceHasAKnownPsnr) {
    // Off by 51 of 255 everywhere: MSE 0.04.
    const double mse = mean_squared_error(flat(100, 100, 100), flat(151, 151, 151));
    EXPECT_DOUBLE_EQ(mse, 0.04);
    EXPECT_NEAR(psnr_db(mse), 13.979, 1e-3);
    EXPECT_EQ(psnr_db(0), kEqualDb);
}

TEST(PictureMeasures, SsimIsOneForEqualPicturesAndFollowsTheFormulaForFlatOnes) {
    const Picture a = noise(1, 0, 256);
    EXPECT_NEAR(ssim(a, a, kWidth, kHeight), 1, 1e-12);
    // Flat pictures have no variance: only the term of the means is left.
    const double c1 = 0.01 * 255 * 0.01 * 255;
    const double expected = (2 * 100.0 * 150.0 + c1) / (100.0 * 100.0 + 150.0 * 150.0 + c1);
    EXPECT_NEAR(ssim(flat(100, 100, 100), flat(150, 150, 150), kWidth, kHeight), expected, 1e-9);
}

TEST(PictureMeasures, SsimFallsWithNoise) {
    const Picture a = noise(1, 60, 200);
    Picture little = a;
    Picture much = a;
    std::mt19937 draw(3);
    for (std::size_t i = 0; i < a.size(); ++i) {
        little[i] = static_cast<std::uint8_t>(little[i] + draw() % 10);
        much[i] = static_cast<std::uint8_t>(much[i] + draw() % 50);
    }
    EXPECT_GT(ssim(a, little, kWidth, kHeight), ssim(a, much, kWidth, kHeight) + 0.01);
    EXPECT_LT(ssim(a, noise(2, 60, 200), kWidth, kHeight), 0.3);
}

TEST(PictureMeasures, Looks) {
    const Look red = look_of(flat(200, 0, 0), kWidth, kHeight);
    EXPECT_NEAR(red.luma, 0.299 * 200, 1e-9);
    EXPECT_DOUBLE_EQ(red.saturation, 1);
    EXPECT_NEAR(red.laplacian_variance, 0, 1e-9);
    const Look grey = look_of(flat(90, 90, 90), kWidth, kHeight);
    EXPECT_DOUBLE_EQ(grey.saturation, 0);
    EXPECT_GT(look_of(noise(4, 0, 256), kWidth, kHeight).laplacian_variance, 1000);
    const std::vector<Picture> both = {flat(200, 0, 0), flat(90, 90, 90)};
    EXPECT_NEAR(mean_look(both, kWidth, kHeight).luma, (0.299 * 200 + 90) / 2, 1e-9);
}

TEST(PictureMeasures, SharpnessOfAKnownPattern) {
    EXPECT_NEAR(sharpness_of(flat(90, 20, 200), kWidth, kHeight), 0, 1e-15);
    // A chess board of 0 and 255: every Laplacian inside is +4 or -4, half of each.
    Picture chess(kWidth * kHeight * 3);
    for (int y = 0; y < kHeight; ++y) {
        for (int x = 0; x < kWidth; ++x)
            for (int c = 0; c < 3; ++c)
                chess[static_cast<std::size_t>((y * kWidth + x) * 3 + c)] = (x + y) % 2 == 0 ? 255 : 0;
    }
    EXPECT_NEAR(sharpness_of(chess, kWidth, kHeight), 16, 1e-9);
    // One channel in three: a third of the grey, a ninth of the variance.
    for (std::size_t i = 0; i < chess.size(); ++i) {
        if (i % 3 != 1) chess[i] = 0;
    }
    EXPECT_NEAR(sharpness_of(chess, kWidth, kHeight), 16.0 / 9, 1e-9);
}

TEST(PictureMeasures, IntervalsOfStudent) {
    const Estimate e = estimate({1, 2, 3, 4, 5});
    EXPECT_DOUBLE_EQ(e.mean, 3);
    EXPECT_NEAR(e.half_width, 2.776 * std::sqrt(2.5 / 5), 1e-9);
    EXPECT_EQ(estimate({7}).half_width, 0);
    EXPECT_EQ(median({3, 1, 2}), 2);
    EXPECT_EQ(median({4, 1, 2, 3}), 2.5);
}

} // namespace
} // namespace wander::evaluate
