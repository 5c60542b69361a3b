// Opening and walking the embedded world: what goes wrong is said in words, what goes right is bit-equal.

#include "generator/chunk_reports.hpp"
#include "generator/decode_thread.hpp"
#include "generator/device.hpp"
#include "generator/json_fields.hpp"
#include "generator/world/embedded_world.hpp"
#include "tests/support/walk_runner.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <functional>

namespace wander {
namespace {

const std::filesystem::path kAssets = WANDER_SOURCE_DIR "/assets";

WalkOptions options(const std::string& start = "") {
    WalkOptions o;
    o.assets = kAssets;
    o.start = start;
    o.device = "cpu";
    o.precision = "fp32";
    o.threads = 2;
    return o;
}

Error refused(const WalkOptions& o) {
    auto walk = Walk::open(o);
    EXPECT_FALSE(walk);
    return walk ? Error{} : walk.error();
}

bool mentions(const Error& error, const std::string& part) { return error.message.find(part) != std::string::npos; }

TEST(Device, RefusesUnknownWords) {
    EXPECT_EQ(pick_device("gpu", "auto", 0).error().code, ErrorCode::wrong_use);
    EXPECT_EQ(pick_device("cpu", "fp16", 0).error().code, ErrorCode::wrong_use);
    EXPECT_EQ(pick_device("cpu", "auto", -1).error().code, ErrorCode::wrong_use);
    const auto cpu = pick_device("cpu", "fp32", 3);
    ASSERT_TRUE(cpu);
    EXPECT_EQ(cpu->threads, 3);
    EXPECT_EQ(cpu->precision(), "fp32");
    EXPECT_FALSE(cpu->name.empty());
    EXPECT_EQ(pick_device("cpu", "auto", 1)->precision(), cpu_has_bf16() ? "bf16" : "fp32");
    EXPECT_GT(peak_host_bytes(), 1 << 20);
}

TEST(Walk, SaysWhatIsWrongWithTheStart) {
    const Error unknown = refused(options("castle"));
    EXPECT_EQ(unknown.code, ErrorCode::wrong_use);
    EXPECT_TRUE(mentions(unknown, "castle") && mentions(unknown, "village_fountain, village_meadow"))
        << unknown.message;
    const std::string picture = (kAssets / "world/starts/neon_avenue.png").string();
    const Error no_pose = refused(options(picture));
    EXPECT_EQ(no_pose.code, ErrorCode::wrong_use);
    EXPECT_TRUE(mentions(no_pose, "--start-pose") && mentions(no_pose, "village_fountain")) << no_pose.message;
    WalkOptions in_wall = options(picture);
    in_wall.start_pose = {"village", Pose{}}; // inside the fountain
    EXPECT_TRUE(mentions(refused(in_wall), "nobody can stand"));
    in_wall.start_pose = {"moon", Pose{}};
    EXPECT_TRUE(mentions(refused(in_wall), "village, winter, neon"));
    WalkOptions not_a_picture = options((kAssets / "world/world.json").string());
    not_a_picture.start_pose = {"neon", Pose{.x = 0.325f, .z = -7.142f}};
    EXPECT_EQ(refused(not_a_picture).code, ErrorCode::bad_input);
}

TEST(Walk, SaysWhatIsWrongWithModelAndFormat) {
    WalkOptions o = options();
    o.model = "/nowhere";
    EXPECT_EQ(refused(o).code, ErrorCode::wrong_use);
    o.model = (kAssets / "prompts").string(); // a folder, but no model
    EXPECT_TRUE(mentions(refused(o), "config.json"));
    o = options();
    o.cache_format = "int3";
    EXPECT_EQ(refused(o).code, ErrorCode::wrong_use);
    o = options();
    o.assets = "/nowhere";
    EXPECT_TRUE(mentions(refused(o), "/nowhere/world/world.json"));
}

TEST(Walk, IgnoresAPromptWithAWarning) {
    WalkOptions o = options();
    o.prompt = "a castle";
    auto walk = Walk::open(o);
    ASSERT_TRUE(walk) << walk.error().message;
    ASSERT_EQ((*walk)->info().warnings.size(), 1u);
    EXPECT_EQ((*walk)->info().starts.size(), EmbeddedWorld::read(kAssets / "world")->starts.size());
    EXPECT_EQ((*walk)->info().width, 192);
    EXPECT_EQ((*walk)->info().height, 112);
    EXPECT_TRUE((*walk)->info().camera_steering);
}

TEST(Walk, AFormatUnknownOnTheWayEndsTheRunWithAMessage) {
    const auto run = testing::run_walk(options(), {"", {}, {{1, "int3"}}}, 3);
    EXPECT_NE(run.error.find("int3"), std::string::npos) << run.error;
    EXPECT_EQ(run.chunks.size(), 1u);
}

TEST(Walk, RunsInOrderAndTheSameAgainAfterARestart) {
    auto walk = Walk::open(options("winter_lamps"));
    ASSERT_TRUE(walk) << walk.error().message;
    const testing::WalkScript script{"", {{0, {Action::forward, Action::yaw_right}}}, {}};
    std::vector<std::vector<std::vector<std::uint8_t>>> runs;
    for (const auto& [start, seed] : std::vector<std::pair<std::string, std::uint64_t>>{
             {"", 0}, {"", 5}, {"neon_pyramid", 5}, {"winter_lamps", 0}}) {
        ASSERT_TRUE((*walk)->restart(start, seed));
        testing::FrameKeeper keeper(192, 112);
        std::vector<ChunkTelemetry> chunks;
        const auto done =
            (*walk)->run(testing::control_source(script, 3), keeper, [&](const auto& c) { chunks.push_back(c); }, {});
        ASSERT_TRUE(done) << done.error().message;
        ASSERT_EQ(keeper.frames.size(), 13u);
        ASSERT_EQ(chunks.size(), 3u);
        for (std::size_t i = 0; i < keeper.tickets.size(); ++i) {
            const FrameTicket& ticket = keeper.tickets[i];
            EXPECT_EQ(ticket.frame_index, static_cast<std::int64_t>(i));
            EXPECT_EQ(ticket.chunk, i == 0 ? -1 : static_cast<std::int64_t>(i - 1) / 4);
            EXPECT_EQ(ticket.index_in_chunk, i == 0 ? 0 : static_cast<int>(i - 1) % 4);
        }
        for (std::size_t i = 0; i < chunks.size(); ++i) {
            const ChunkTelemetry& chunk = chunks[i];
            EXPECT_EQ(chunk.index, static_cast<std::int64_t>(i));
            EXPECT_EQ(chunk.hold, (std::vector<std::string>{"forward", "yaw_right"}));
            EXPECT_GT(chunk.ms.denoise, 0);
            EXPECT_GT(chunk.ms.decode, 0);
            EXPECT_GE(chunk.ms.total, chunk.ms.denoise);
            EXPECT_FLOAT_EQ(chunk.pose.yaw, keeper.tickets[4 * i + 4].pose.yaw);
            EXPECT_GT(chunk.cache_bytes, 0);
        }
        runs.push_back(std::move(keeper.frames));
    }
    EXPECT_NE(runs[0], runs[1]) << "another seed";
    EXPECT_NE(runs[1][0], runs[2][0]) << "another place";
    EXPECT_EQ(runs[0], runs[3]);
    EXPECT_FALSE((*walk)->restart("castle"));
}

TEST(Walk, APictureOfAStartPointIsThatStart) {
    WalkOptions o = options((kAssets / "world/starts/neon_avenue.png").string());
    o.start_pose = {"neon", Pose{.x = 0.325f, .z = -7.142f, .yaw = -0.617f}};
    const auto from_picture = testing::run_walk(o, {}, 2);
    const auto by_name = testing::run_walk(options("neon_avenue"), {}, 2);
    ASSERT_EQ(from_picture.error, "");
    EXPECT_GT(testing::psnr_db(from_picture, by_name, 0, 9), 45);
}

TEST(ChunkReports, ComeInOrderWhoeverFinishesLast) {
    std::vector<ChunkTelemetry> reported;
    ChunkReports reports([&](const ChunkTelemetry& chunk) { reported.push_back(chunk); });
    const auto chunk = [](std::int64_t index) {
        ChunkTelemetry c;
        c.index = index;
        c.ms.denoise = 7;
        return c;
    };
    reports.decoded(0, 30, 10.5);
    EXPECT_TRUE(reported.empty());
    reports.generated(chunk(0), 10.0);
    reports.generated(chunk(1), 10.6);
    ASSERT_EQ(reported.size(), 1u);
    reports.decoded(1, 40, 10.9);
    ASSERT_EQ(reported.size(), 2u);
    EXPECT_NEAR(reported[0].ms.total, 500, 1e-6);
    EXPECT_NEAR(reported[0].ms.period, 500, 1e-6);
    EXPECT_NEAR(reported[1].ms.total, 300, 1e-6);
    EXPECT_NEAR(reported[1].ms.period, 400, 1e-6);
    EXPECT_DOUBLE_EQ(reported[1].ms.decode, 40);
    EXPECT_DOUBLE_EQ(reported[1].ms.denoise, 7);
}

TEST(FramePoses, TurnTheShorterWay) {
    const Pose p = between(Pose{.x = 1, .yaw = 3.1f}, Pose{.x = 2, .yaw = -3.1f}, 0.5);
    EXPECT_FLOAT_EQ(p.x, 1.5f);
    EXPECT_NEAR(p.yaw, 3.14159, 1e-4);
}

// Every way to spoil the file is refused with the key's name.
TEST(EmbeddedWorld, NamesTheKeyThatIsWrong) {
    const auto good = read_json_file(kAssets / "world/world.json");
    ASSERT_TRUE(good);
    const auto folder = std::filesystem::temp_directory_path() / "wander_embedded_world_test";
    std::filesystem::create_directories(folder);
    const auto message_of = [&](const std::function<void(nlohmann::json&)>& spoil) {
        nlohmann::json json = *good;
        spoil(json);
        std::ofstream(folder / "world.json") << json;
        auto world = EmbeddedWorld::read(folder);
        EXPECT_FALSE(world);
        if (world) return std::string();
        EXPECT_EQ(world.error().code, ErrorCode::bad_input);
        return world.error().message;
    };
    const std::vector<std::pair<std::string, std::function<void(nlohmann::json&)>>> cases = {
        {"width", [](auto& j) { j.erase("width"); }},
        {"width", [](auto& j) { j["width"] = 190; }},
        {"height", [](auto& j) { j["height"] = "112"; }},
        {"heads", [](auto& j) { j["dit"]["heads"] = 4; }},
        {"rope_split", [](auto& j) { j["dit"]["rope_split"] = {23, 21, 20}; }},
        {"map_fine", [](auto& j) { j["dit"]["map_fine"] = {16, 64, 32}; }},
        {"latent_std", [](auto& j) { j["vae"]["latent_std"][3] = 0; }},
        {"latent_mean", [](auto& j) { j["vae"]["latent_mean"].erase(0); }},
        {"timesteps", [](auto& j) { j["sampler"]["timesteps"] = nlohmann::json::array(); }},
        {"rows", [](auto& j) { j["walkable"]["rows"][1][5] = "xyz"; }},
        {"rows", [](auto& j) { j["walkable"]["rows"].erase(2); }},
        {"pose", [](auto& j) { j["starts"][0]["pose"] = {0, 0, 0, 0}; }},
        {"world", [](auto& j) { j["starts"][0]["world"] = 9; }},
        {"starts", [](auto& j) { j["starts"] = 3; }},
        {"dit", [](auto& j) { j["dit"] = 3; }},
        {"version", [](auto& j) { j = 3; }},
    };
    for (const auto& [key, spoil] : cases) {
        const std::string message = message_of(spoil);
        EXPECT_NE(message.find("world.json"), std::string::npos) << key << ": " << message;
        EXPECT_NE(message.find("\"" + key + "\""), std::string::npos) << key << ": " << message;
    }
    std::ofstream(folder / "world.json") << "{";
    EXPECT_NE(EmbeddedWorld::read(folder).error().message.find("not valid JSON"), std::string::npos);
    std::filesystem::remove_all(folder);
}

} // namespace
} // namespace wander
