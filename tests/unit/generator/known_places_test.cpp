// The themes of the three places that were first drawn by another renderer against its pictures, and the embedded
// world's start points and free ground against the themes.

#include "generator/world/embedded_world.hpp"
#include "generator/world/scene/render_cpu.hpp"
#include "generator/world/start_picture.hpp"
#include "generator/world/theme/theme.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <map>

namespace wander {
namespace {

const std::filesystem::path kAssets = std::filesystem::path(WANDER_SOURCE_DIR) / "assets";
const std::filesystem::path kPictures = std::filesystem::path(WANDER_TEST_DATA_DIR) / "themes";
constexpr double kLeastPsnr = 50; // dB

Theme known_theme(const std::string& name) {
    auto theme = Theme::read(kAssets / "themes" / (name + ".json"));
    EXPECT_TRUE(theme) << (theme ? "" : theme.error().message);
    return theme ? *theme : Theme{};
}

// dB between a stored picture and ours from the same pose, values in 0..1.
double psnr(const Theme& theme, const Pose& pose, const std::filesystem::path& picture) {
    const scene::PictureFormat format;
    auto stored = read_picture(picture, format.width, format.height);
    EXPECT_TRUE(stored) << picture;
    if (!stored) return 0;
    at::Tensor ours = at::empty({format.height, format.width, 3}, at::kByte);
    scene::draw_pictures(theme.scene.view(), {&pose, 1}, format, 2, ours.mutable_data_ptr<std::uint8_t>());
    const at::Tensor truth = (*stored)[0].permute({1, 2, 0}).add(1).div(2);
    const double error = (ours.to(at::kFloat).div(255) - truth).square().mean().item<double>();
    return -10 * std::log10(error + 1e-12);
}

TEST(KnownPlaces, StartPicturesAreTheFirstOnes) {
    for (const auto& [place, names] :
         std::map<std::string, std::vector<std::string>>{{"village", {"village_fountain", "village_meadow"}},
                                                         {"winter", {"winter_lamps", "winter_cabin"}},
                                                         {"neon", {"neon_pyramid", "neon_avenue"}}}) {
        const Theme theme = known_theme(place);
        for (const std::string& name : names) {
            const ThemeStart* start = theme.find_start(name);
            ASSERT_TRUE(start) << name;
            EXPECT_GE(psnr(theme, start->pose, kPictures / (name + ".png")), kLeastPsnr) << name;
        }
    }
}

TEST(KnownPlaces, StartPicturesOfTheEmbeddedWorldAreThoseOfItsThemes) {
    const auto world = EmbeddedWorld::read(kAssets / "world");
    ASSERT_TRUE(world);
    ASSERT_GE(world->starts.size(), 6U);
    for (const StartPoint& start : world->starts) {
        const Theme theme = known_theme(start.world);
        EXPECT_GE(psnr(theme, start.pose, start.picture), kLeastPsnr) << start.name;
        const ThemeStart* own = theme.find_start(start.name);
        ASSERT_TRUE(own) << start.name;
        EXPECT_EQ(own->pose.x, start.pose.x);
        EXPECT_EQ(own->pose.z, start.pose.z);
        EXPECT_EQ(own->pose.yaw, start.pose.yaw);
    }
}

TEST(KnownPlaces, PicturesOnWalksAreTheTrueOnes) {
    EXPECT_GE(
        psnr(known_theme("village"), {0.127677485f, -4.2832613f, -0.614603877f, 0}, kPictures / "village_walk.png"),
        kLeastPsnr);
    EXPECT_GE(psnr(known_theme("winter"), {-3.37449217f, -3.01400876f, -3.92992496f, 0.193086147f},
                   kPictures / "winter_walk.png"),
              kLeastPsnr);
    EXPECT_GE(psnr(known_theme("neon"), {-8.83979321f, 13.3398027f, 0.287691623f, 0}, kPictures / "neon_walk.png"),
              kLeastPsnr);
}

TEST(KnownPlaces, AnotherPlaceOrAStepAsideIsNotThePicture) {
    const Pose start{0, -3.9f, 0, 0};
    EXPECT_LT(psnr(known_theme("neon"), start, kPictures / "winter_lamps.png"), 20);
    EXPECT_LT(psnr(known_theme("winter"), {0.02f, -3.9f, 0, 0}, kPictures / "winter_lamps.png"), 40);
}

TEST(KnownPlaces, WalkableMapsAreTheShippedOnes) {
    const auto world = EmbeddedWorld::read(kAssets / "world");
    ASSERT_TRUE(world);
    for (std::size_t i = 0; i < world->worlds.size(); ++i) {
        const Theme theme = known_theme(world->worlds[i]);
        int different = 0;
        for (int j = 0; j < kWalkableCells; ++j) {
            for (int k = 0; k < kWalkableCells; ++k) {
                const double x = (k + 0.5) / 8;
                const double z = (j + 0.5) / 8;
                different += theme.map.free_at(x, z) != world->maps[i].free_at(x, z) ? 1 : 0;
            }
        }
        EXPECT_EQ(different, 0) << world->worlds[i];
    }
}

} // namespace
} // namespace wander
