// Pictures drawn on an NVIDIA GPU against the CPU's, for every theme that comes with the program.

#include "generator/world/device_scenes.hpp"
#include "generator/device.hpp"
#include "generator/world/theme/theme.hpp"
#include "generator/world/walks/true_walk.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace wander {
namespace {

constexpr double kShareWithinOneLevel = 0.99;
constexpr double kLeastPsnr = 55; // dB

class DeviceScenesTest : public testing::Test {
protected:
    void SetUp() override {
        auto picked = pick_device("cuda", "fp32", 1);
        ASSERT_TRUE(picked) << picked.error().message;
        device_ = picked->device;
        for (const auto& entry :
             std::filesystem::directory_iterator(std::filesystem::path(WANDER_SOURCE_DIR) / "assets/themes")) {
            auto theme = Theme::read(entry.path());
            ASSERT_TRUE(theme) << theme.error().message;
            themes_.push_back(std::move(*theme));
        }
        ASSERT_GE(themes_.size(), 5U);
    }

    at::Device device_ = at::kCPU;
    std::vector<Theme> themes_;
};

TEST_F(DeviceScenesTest, PicturesAreTheCpus) {
    std::vector<const scene::Scene*> scenes;
    for (const Theme& theme : themes_) scenes.push_back(&theme.scene);
    auto uploaded = DeviceScenes::upload(scenes, device_);
    ASSERT_TRUE(uploaded) << uploaded.error().message;
    std::vector<std::int32_t> scene_of;
    std::vector<Pose> poses;
    for (std::size_t i = 0; i < themes_.size(); ++i) {
        const TrueWalk walk = random_walk(themes_[i].map, std::nullopt, 11, i, 120);
        for (std::size_t k = 0; k < walk.poses.size(); k += 20) {
            scene_of.push_back(static_cast<std::int32_t>(i));
            poses.push_back(walk.poses[k]);
        }
    }
    const scene::PictureFormat format;
    auto drawn = uploaded->draw(scene_of, poses, format);
    ASSERT_TRUE(drawn) << drawn.error().message;
    const at::Tensor there = drawn->cpu().to(at::kInt);
    for (std::size_t i = 0; i < poses.size(); ++i) {
        at::Tensor here = at::empty({format.height, format.width, 3}, at::kByte);
        scene::draw_pictures(scenes[static_cast<std::size_t>(scene_of[i])]->view(), {&poses[i], 1}, format, 0,
                             here.mutable_data_ptr<std::uint8_t>());
        const at::Tensor difference = (there[static_cast<std::int64_t>(i)] - here.to(at::kInt)).abs();
        const auto& name = themes_[static_cast<std::size_t>(scene_of[i])].name;
        EXPECT_GE((difference <= 1).to(at::kDouble).mean().item<double>(), kShareWithinOneLevel) << name << " " << i;
        const double error = difference.to(at::kDouble).div(255).square().mean().item<double>();
        EXPECT_GE(-10 * std::log10(error + 1e-12), kLeastPsnr) << name << " " << i;
    }
}

TEST_F(DeviceScenesTest, SizesThatNoBlockFitsAndSceneNumbersAreTakenAsGiven) {
    const scene::Scene* scenes[] = {&themes_[0].scene, &themes_[1].scene};
    auto uploaded = DeviceScenes::upload(scenes, device_);
    ASSERT_TRUE(uploaded);
    scene::PictureFormat odd;
    odd.width = 37;
    odd.height = 21;
    odd.samples = 1;
    const Pose poses[] = {themes_[0].starts[0].pose, themes_[1].starts[0].pose};
    const std::int32_t order[] = {0, 1};
    const std::int32_t turned[] = {1, 0};
    const Pose turned_poses[] = {poses[1], poses[0]};
    auto a = uploaded->draw(order, poses, odd);
    auto b = uploaded->draw(turned, turned_poses, odd);
    ASSERT_TRUE(a && b);
    EXPECT_EQ(a->sizes(), at::IntArrayRef({2, 21, 37, 3}));
    EXPECT_TRUE((*a)[0].equal((*b)[1]));
    EXPECT_TRUE((*a)[1].equal((*b)[0]));
    EXPECT_FALSE((*a)[0].equal((*a)[1]));
    const std::int32_t foreign[] = {2};
    EXPECT_FALSE(uploaded->draw(foreign, {poses, 1}, odd));
}

} // namespace
} // namespace wander
