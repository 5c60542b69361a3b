// The evaluation's walks and its protocol, over the shipped world and short walks.

#include "generator/camera/actions.hpp"
#include "generator/evaluate/evaluate_world.hpp"
#include "generator/evaluate/evaluation_walks.hpp"
#include "generator/evaluate/measure_walk.hpp"
#include "generator/json_fields.hpp"
#include "generator/world/plain/world_folder.hpp"
#include "tests/unit/render_video/test_folder.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <numbers>

namespace wander::evaluate {
namespace {

const std::filesystem::path kAssets = std::filesystem::path(WANDER_SOURCE_DIR) / "assets";

Theme theme_named(const std::string& file, const std::string& name) {
    std::ifstream in(kAssets / "themes" / (file + ".json"));
    std::string text{std::istreambuf_iterator<char>(in), {}};
    const std::string key = "\"name\": \"" + file + "\"";
    text.replace(text.find(key), key.size(), "\"name\": \"" + name + "\"");
    auto description = read_theme_text(text, file);
    EXPECT_TRUE(description) << (description ? "" : description.error().message);
    auto theme = Theme::build(*description);
    EXPECT_TRUE(theme);
    return std::move(*theme);
}

EvaluatedWorld places_only(std::vector<Theme> themes) {
    EvaluatedWorld world;
    world.world.limits = walk_limits();
    for (const Theme& theme : themes) world.world.worlds.push_back(theme.name);
    world.themes = std::move(themes);
    world.assets = kAssets;
    return world;
}

TEST(EvaluationWalks, TheTwelveKnownOnesAreTaken) {
    std::vector<Theme> themes;
    for (const char* name : {"village", "winter", "neon"}) themes.push_back(theme_named(name, name));
    const auto walks = evaluation_walks(places_only(std::move(themes)), 4, 240);
    ASSERT_TRUE(walks) << walks.error().message;
    ASSERT_EQ(walks->size(), 12u);
    for (std::size_t i = 0; i < walks->size(); ++i) {
        EXPECT_TRUE((*walks)[i].known) << i;
        EXPECT_EQ((*walks)[i].place, static_cast<int>(i / 4));
        EXPECT_EQ((*walks)[i].walk.poses.size(), 241u);
        EXPECT_EQ((*walks)[i].walk.labels.size(), 241u);
    }
    // Half of them begin at the spawn point.
    const Pose& first = (*walks)[0].walk.poses.front();
    EXPECT_EQ(first.x, 0.0f);
    EXPECT_FLOAT_EQ(first.z, -3.35f);
    EXPECT_NE((*walks)[1].walk.poses.front().x, 0.0f);
    // Labels follow from the steps, as they do in the program.
    int differ = 0;
    for (const EvaluationWalk& walk : *walks) {
        for (std::size_t k = 1; k < walk.walk.poses.size(); ++k)
            differ += action_label(walk.walk.poses[k - 1], walk.walk.poses[k], 1e-3) != walk.walk.labels[k] ? 1 : 0;
    }
    EXPECT_LT(differ, 12 * 240 / 20) << "the file has its own labels for slow slanting steps, but no others";
}

TEST(EvaluationWalks, OtherPlacesGetRandomOnesAlwaysTheSame) {
    std::vector<Theme> themes;
    themes.push_back(theme_named("harbour", "harbour"));
    themes.push_back(
        theme_named("mushrooms", "village")); // another place of a known name: walks would lead into things
    const EvaluatedWorld world = places_only(std::move(themes));
    const auto walks = evaluation_walks(world, 4, 20);
    const auto again = evaluation_walks(world, 4, 20);
    ASSERT_TRUE(walks && again);
    ASSERT_EQ(walks->size(), 8u);
    for (std::size_t i = 0; i < walks->size(); ++i) {
        const EvaluationWalk& walk = (*walks)[i];
        EXPECT_FALSE(walk.known) << i;
        EXPECT_EQ(walk.walk.poses.size(), 21u);
        EXPECT_EQ(true_walk_json(walk.walk, ""), true_walk_json((*again)[i].walk, ""));
        const Pose& start = world.themes[static_cast<std::size_t>(walk.place)].starts.front().pose;
        EXPECT_EQ(walk.walk.poses.front().x == start.x && walk.walk.poses.front().z == start.z, i % 2 == 0) << i;
    }
}

TEST(EvaluationWalks, ScriptsComeBack) {
    std::vector<Theme> themes;
    themes.push_back(theme_named("village", "village"));
    const EvaluatedWorld world = places_only(std::move(themes));
    const auto scripts = revisit_scripts();
    ASSERT_EQ(scripts.size(), 4u);
    const TrueWalk turn = script_walk(world, 0, scripts[0]);
    ASSERT_EQ(turn.poses.size(), 49u);
    EXPECT_NEAR(std::cos(turn.poses[24].yaw - turn.poses[0].yaw), -1, 1e-6); // half of it
    EXPECT_NEAR(std::cos(turn.poses.back().yaw - turn.poses.front().yaw), 1, 1e-6);
    EXPECT_EQ(turn.poses.back().x, turn.poses.front().x);
    const TrueWalk look = script_walk(world, 0, scripts[1]);
    EXPECT_NEAR(look.poses[12].yaw - look.poses[0].yaw, std::numbers::pi / 2, 1e-5);
    EXPECT_NEAR(look.poses.back().yaw, look.poses.front().yaw, 1e-5);
    EXPECT_EQ(script_walk(world, 0, scripts[2]).poses.size(), 25u);
    EXPECT_EQ(script_walk(world, 0, scripts[3]).poses.size(), 81u);
}

TEST(EvaluationWalks, SecondsThatAreMeasured) {
    EXPECT_EQ(measured_seconds(60), (std::vector<int>{1, 2, 3, 5, 10, 20, 30, 40, 50, 60}));
    EXPECT_EQ(measured_seconds(5), (std::vector<int>{1, 2, 3, 5}));
    EXPECT_EQ(measured_seconds(7), (std::vector<int>{1, 2, 3, 5, 7}));
    EXPECT_EQ(measured_seconds(1), (std::vector<int>{1}));
}

class ShippedWorld : public ::testing::Test {
protected:
    void SetUp() override {
        auto device = pick_device("cpu", "fp32", 2);
        ASSERT_TRUE(device);
        auto opened = open_evaluated_world(kAssets / "world", kAssets, *device);
        ASSERT_TRUE(opened) << opened.error().message;
        world_ = std::move(*opened);
        options_.seconds = 1;
        options_.walks_per_place = 1;
        options_.revisits = false;
    }

    EvaluatedWorld world_;
    EvaluationOptions options_;
};

TEST_F(ShippedWorld, FormatsAreNamedOnceWithoutTheUncompressedOne) {
    EXPECT_EQ(*parse_formats("bf16,int2,,int8,int2", world_), (std::vector<std::string>{"int2", "int8"}));
    EXPECT_TRUE(parse_formats("", world_)->empty());
    EXPECT_GT(parse_formats("all", world_)->size(), 10u);
    ASSERT_FALSE(parse_formats("int2,int3", world_));
    EXPECT_NE(parse_formats("int2,int3", world_).error().message.find("int3"), std::string::npos);
}

std::string without_time(EvaluationReport report) {
    report.minutes = 0;
    return report_json(report);
}

TEST_F(ShippedWorld, ASecondOfWalkingLooksLikeTheTruth) {
    options_.formats = {"int8"};
    options_.workers = 2;
    double last_share = 0;
    options_.progress = [&](const LoadProgress& progress) { last_share = progress.share; };
    const auto found = evaluate_world(world_, options_);
    ASSERT_TRUE(found) << found.error().message;
    const EvaluationReport& report = found->report;
    EXPECT_NEAR(last_share, 1, 1e-6) << "the work that was foretold is the work that was done";
    const auto places = static_cast<int>(world_.themes.size());
    EXPECT_EQ(report.all.walks, places);
    EXPECT_TRUE(report.places[0].known_walks);
    // The world's own card says what to expect. Wrong poses, labels, frames or seconds cost far more than the 2 dB
    // between the places and walks.
    const auto card = read_json_file(kAssets / "world/world.json");
    ASSERT_TRUE(card);
    const auto& figures = card->at("figures");
    const auto& measured = figures.at("free_walk");
    ASSERT_EQ(measured.at("seconds").at(0), 1);
    ASSERT_TRUE(report.psnr_at(1));
    EXPECT_NEAR(*report.psnr_at(1), measured.at("psnr_db").at(0).get<double>(), 2);
    EXPECT_NEAR(*report.sharpness_at(1), measured.at("sharpness").at(0).get<double>(), 0.12);
    EXPECT_FALSE(report.psnr_at(5));
    EXPECT_FALSE(report.late_psnr());
    EXPECT_GT(report.all.ceiling.psnr_db, *report.psnr_at(1) + 1);
    const NextChunkFigures& next = report.all.next_chunk;
    EXPECT_EQ(next.chunks, places);
    // The chunk that is looked at comes after one second here, after six on the card.
    EXPECT_NEAR(next.history_db, figures.at("next_chunk_psnr_db").at("full_history").get<double>(), 3);
    EXPECT_LT(next.sink_only_db, next.history_db);
    EXPECT_LT(next.no_pose_db, next.history_db - 0.5);
    EXPECT_GT(next.latent_mse, 0.005);
    EXPECT_LT(next.latent_mse, 0.15);
    ASSERT_EQ(report.formats.size(), 1u);
    // Four latents: nothing is old enough to be packed, so the walk is the same.
    EXPECT_EQ(report.formats[0].plain_db, std::vector<double>{100});
    EXPECT_EQ(report.formats[0].free_walk[0].psnr_db, report.all.free_walk[0].psnr_db);
    ASSERT_EQ(found->sheet.rows.size(), 3 * world_.themes.size()); // truth, model, int8
    EXPECT_EQ(found->sheet.columns, (std::vector<std::string>{"start", "1 s"}));
    EXPECT_EQ(found->sheet.rows[1].pictures, found->sheet.rows[2].pictures);
    EXPECT_NE(found->sheet.rows[0].pictures, found->sheet.rows[1].pictures);

    const test::TestFolder folder;
    ASSERT_TRUE(write_evaluation(*found, folder / "out", kAssets));
    for (const char* file : {"evaluation.md", "evaluation.json", "sheet.png", "psnr.png"})
        EXPECT_TRUE(std::filesystem::exists(folder / "out" / file)) << file;
}

TEST_F(ShippedWorld, HowManyWorkAtOnceChangesNothing) {
    options_.next_chunk = false;
    options_.workers = 1;
    const auto one = evaluate_world(world_, options_);
    options_.workers = 3;
    const auto three = evaluate_world(world_, options_);
    options_.seed = 5;
    const auto other = evaluate_world(world_, options_);
    ASSERT_TRUE(one && three && other);
    EXPECT_EQ(without_time(one->report), without_time(three->report));
    EXPECT_NE(without_time(one->report), without_time(other->report)) << "the seed is not heard";
    EXPECT_EQ(one->report.all.next_chunk.chunks, 0);
    EXPECT_TRUE(one->report.all.revisits.empty());
}

// FP8 is near bf16 and not the same; each half of it by itself is nearer to bf16 than both.
TEST_F(ShippedWorld, Fp8IsMeasuredAgainstBf16) {
    EXPECT_EQ(load_fp8_network(world_).error().code, ErrorCode::wrong_use) << "in fp32 there is nothing to compare";
    options_.fp8 = true;
    options_.next_chunk = false;
    options_.workers = 2;
    auto device = pick_device("cpu", "bf16", 2);
    ASSERT_TRUE(device);
    auto opened = open_evaluated_world(kAssets / "world", kAssets, *device);
    ASSERT_TRUE(opened);
    EXPECT_EQ(evaluate_world(*opened, options_).error().code, ErrorCode::wrong_use) << "FP8 weights were not loaded";
    ASSERT_TRUE(load_fp8_network(*opened));
    const auto found = evaluate_world(*opened, options_);
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_TRUE(found->report.formats.empty());
    ASSERT_EQ(found->report.fp8.size(), 3u);
    EXPECT_TRUE(found->report.fp8_weights_emulated);
    const double plain = *found->report.psnr_at(1);
    for (const FormatFigures& fp8 : found->report.fp8) {
        EXPECT_NEAR(fp8.free_walk[0].psnr_db, plain, 2.5) << fp8.format; // attention costs 1.6 on these three walks
        EXPECT_GT(fp8.plain_db[0], 30) << fp8.format;
        EXPECT_LT(fp8.plain_db[0], 60) << fp8.format;
    }
    EXPECT_LT(found->report.fp8[2].plain_db[0], found->report.fp8[0].plain_db[0]);
}

TEST_F(ShippedWorld, WrongOrdersAndAStopAreSaid) {
    options_.formats = {"int3"};
    const auto format = evaluate_world(world_, options_);
    ASSERT_FALSE(format);
    EXPECT_EQ(format.error().code, ErrorCode::wrong_use);
    EXPECT_NE(format.error().message.find("int3"), std::string::npos);
    options_.formats.clear();
    options_.seconds = 61;
    EXPECT_FALSE(evaluate_world(world_, options_));
    options_.seconds = 1;
    options_.walks_per_place = 5;
    EXPECT_FALSE(evaluate_world(world_, options_));
    options_.walks_per_place = 1;
    std::stop_source stop;
    stop.request_stop();
    options_.stop = stop.get_token();
    const auto stopped = evaluate_world(world_, options_);
    ASSERT_FALSE(stopped);
    EXPECT_EQ(stopped.error().code, ErrorCode::unavailable);
}

TEST(EvaluatedWorldFolder, WhatIsMissingIsNamed) {
    auto device = pick_device("cpu", "fp32", 1);
    ASSERT_TRUE(device);
    const test::TestFolder folder;
    const auto nothing = open_evaluated_world(folder.path(), kAssets, *device);
    ASSERT_FALSE(nothing);
    EXPECT_NE(nothing.error().message.find("world.json"), std::string::npos);
    std::filesystem::copy(kAssets / "world", folder / "world", std::filesystem::copy_options::recursive);
    const auto no_theme = open_evaluated_world(folder / "world", folder.path(), *device);
    ASSERT_FALSE(no_theme);
    EXPECT_NE(no_theme.error().message.find("themes/village.json"), std::string::npos) << no_theme.error().message;
    std::filesystem::create_directories(folder / "world/themes");
    std::filesystem::copy(kAssets / "themes/winter.json", folder / "world/themes/village.json");
    const auto other_theme = open_evaluated_world(folder / "world", kAssets, *device);
    ASSERT_FALSE(other_theme);
    EXPECT_NE(other_theme.error().message.find("winter"), std::string::npos) << other_theme.error().message;
}

TEST(WorldFolder, IsFoundWhereATrainingPutIt) {
    const test::TestFolder folder;
    std::filesystem::create_directories(folder / "run/world");
    EXPECT_FALSE(find_world_folder(folder / "run"));
    std::ofstream(folder / "run/world/world.json") << "{}";
    EXPECT_EQ(find_world_folder(folder / "run"), folder / "run/world");
    EXPECT_EQ(find_world_folder(folder / "run/world"), folder / "run/world");
    EXPECT_EQ(find_world_folder(folder / "run/world/world.json"), folder / "run/world");
    EXPECT_FALSE(find_world_folder(folder / "elsewhere"));
    EXPECT_EQ(model_path("embedded", kAssets), kAssets / "world");
    EXPECT_EQ(model_path((folder / "run").string(), kAssets), folder / "run/world");
    EXPECT_EQ(model_path("/some/model", kAssets), "/some/model");
    EXPECT_EQ(shown_world_name("embedded", folder / "run/world"), "run");
    EXPECT_EQ(shown_world_name("embedded", folder / "run"), "run");
    EXPECT_EQ(shown_world_name("five places", folder / "run"), "five places");
}

} // namespace
} // namespace wander::evaluate
