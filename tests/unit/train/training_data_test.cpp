// Walks, their pictures and latents, as training takes them.

#include "generator/train/training_data.hpp"
#include "generator/train/train_vae.hpp"
#include "tests/unit/train/small_vae.hpp"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <cmath>

namespace wander::train {
namespace {

std::vector<Theme> two_themes() {
    std::vector<Theme> themes;
    for (const char* name : {"village", "neon"}) {
        auto theme =
            Theme::read(std::filesystem::path(WANDER_SOURCE_DIR) / "assets/themes" / (std::string(name) + ".json"));
        EXPECT_TRUE(theme);
        if (theme) themes.push_back(std::move(*theme));
    }
    return themes;
}

DataSizes small_pictures() {
    DataSizes sizes;
    sizes.format.width = 32;
    sizes.format.height = 16;
    sizes.format.samples = 1;
    return sizes;
}

TEST(PlanWalks, SharesOfStartsAreAsAsked) {
    const auto themes = two_themes();
    WalkPlan plan;
    plan.walks_per_theme = 300;
    plan.latents = 4;
    plan.seed = 3;
    const auto walks = plan_walks(themes, plan);
    ASSERT_EQ(walks.size(), 600U);
    int spawned = 0, close = 0;
    for (std::size_t i = 0; i < walks.size(); ++i) {
        EXPECT_EQ(walks[i].world, static_cast<int>(i % 2));
        const Pose& pose = walks[i].walk.poses[0];
        const Theme& theme = themes[i % 2];
        EXPECT_TRUE(theme.map.free_at(pose.x, pose.z));
        bool spawn = false;
        for (const ThemeStart& start : theme.starts) spawn |= start.pose.x == pose.x && start.pose.z == pose.z;
        spawned += spawn ? 1 : 0;
        bool blocked = false;
        for (double turn = -0.6; turn <= 0.6; turn += 0.05) {
            for (double ahead = 0.05; ahead <= 0.45; ahead += 0.05)
                blocked |= !theme.map.free_at(pose.x + ahead * std::sin(pose.yaw + turn),
                                              pose.z + ahead * std::cos(pose.yaw + turn));
        }
        close += blocked ? 1 : 0;
    }
    EXPECT_NEAR(spawned / 600.0, 0.1, 0.04);
    EXPECT_GT(close / 600.0, 0.33);
    plan.close_share = 0;
    int by_chance = 0;
    for (const PlannedWalk& walk : plan_walks(themes, plan)) {
        const Pose& pose = walk.walk.poses[0];
        by_chance += themes[static_cast<std::size_t>(walk.world)].map.free_at(pose.x + 0.45 * std::sin(pose.yaw),
                                                                              pose.z + 0.45 * std::cos(pose.yaw))
                         ? 0
                         : 1;
    }
    EXPECT_LT(by_chance / 600.0, 0.3);
}

TEST(PlanWalks, DependOnTheSeedAlone) {
    const auto themes = two_themes();
    WalkPlan plan;
    plan.walks_per_theme = 3;
    plan.latents = 10;
    const auto a = plan_walks(themes, plan);
    plan.walks_per_theme = 2; // fewer walks are the first of them
    const auto b = plan_walks(themes, plan);
    plan.seed = 1;
    const auto c = plan_walks(themes, plan);
    for (std::size_t i = 0; i < b.size(); ++i) {
        EXPECT_EQ(a[i].walk.poses.back().x, b[i].walk.poses.back().x);
        EXPECT_NE(a[i].walk.poses.back().x, c[i].walk.poses.back().x);
    }
}

TEST(TrainingData, HoldsTheWalksInTheirOrderEncodedFromTheirPictures) {
    const auto themes = two_themes();
    Parameters parameters = random_vae(small_vae_config(), at::kCPU, at::make_generator<at::CPUGeneratorImpl>(1));
    const TrainVae vae(small_vae_config(), parameters, at::kFloat);
    WalkPlan plan;
    plan.walks_per_theme = 2;
    plan.latents = 3;
    DataSizes sizes = small_pictures();
    sizes.walks_at_once = 3; // the last slice is shorter
    std::vector<std::int64_t> reported;
    const auto data = make_training_data(themes, vae, plan, sizes, [&](std::int64_t done, std::int64_t all) {
        EXPECT_EQ(all, 4);
        reported.push_back(done);
        return true;
    });
    ASSERT_TRUE(data) << data.error().message;
    EXPECT_EQ(reported, (std::vector<std::int64_t>{3, 4}));
    EXPECT_EQ(data->latents.sizes(), at::IntArrayRef({4, 4, 4, 2, 4}));
    EXPECT_EQ(data->latents.scalar_type(), at::kHalf);
    EXPECT_FALSE(data->latents.requires_grad());
    EXPECT_TRUE(data->worlds.equal(at::tensor({0, 1, 0, 1}, at::kLong)));

    const auto pool = make_frame_pool(themes, plan, sizes, at::kCPU);
    ASSERT_TRUE(pool) << pool.error().message;
    EXPECT_EQ(pool->frames.sizes(), at::IntArrayRef({4, 13, 16, 32, 3}));
    const TrainingData again = encode_pool(*pool, vae, 1);
    EXPECT_LE((again.latents - data->latents).abs().max().item<double>(), 0.01);
    EXPECT_TRUE(again.poses.equal(data->poses));

    const auto walks = plan_walks(themes, plan);
    const std::vector<Pose> frames = frame_poses(walks[2].walk);
    at::Tensor picture = at::empty({16, 32, 3}, at::kByte);
    scene::draw_pictures(themes[0].scene.view(), {&frames[7], 1}, sizes.format, 1,
                         picture.mutable_data_ptr<std::uint8_t>());
    EXPECT_TRUE(pool->frames[2][7].equal(picture));
    EXPECT_EQ(data->poses[2][2][3].item<float>(), walks[2].walk.poses[2].pitch);
    EXPECT_EQ(data->labels[2][3].item<float>(), static_cast<float>(walks[2].walk.labels[3]));
    const at::Tensor mean = vae.encode(pool->frames.narrow(0, 2, 1)).detach();
    EXPECT_LE((mean[0] - data->latents[2]).abs().max().item<double>(), 0.01);
}

TEST(TrainingData, StopsWhenItIsTold) {
    const auto themes = two_themes();
    WalkPlan plan;
    plan.latents = 1;
    DataSizes sizes = small_pictures();
    sizes.walks_at_once = 1;
    int calls = 0;
    const auto pool =
        make_frame_pool(themes, plan, sizes, at::kCPU, [&](std::int64_t, std::int64_t) { return ++calls < 2; });
    EXPECT_FALSE(pool);
    EXPECT_EQ(calls, 2);
}

} // namespace
} // namespace wander::train
