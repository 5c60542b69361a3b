// The headless twin from options to files: counts, hash, formats, exit codes, and nothing half-written.
#include "app/headless.hpp"

#include "generator/plain/sha256.hpp"
#include "tests/unit/render_video/test_folder.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include <nlohmann/json.hpp>

namespace wander {
namespace {

using Json = nlohmann::json;

Json read_json(const std::filesystem::path& file) {
    std::ifstream in(file);
    return Json::parse(in);
}

Options options_of(const test::TestFolder& folder) {
    Options options;
    options.headless = true;
    options.controls = "w-3,right-2";
    options.metrics = folder / "metrics.json";
    return options;
}

// The hash of what the scripted walk shows, computed without the code under test.
std::string expected_hash(const std::vector<int>& held, int chunks) {
    Sha256 hash;
    const auto add = [&hash](int grey) {
        hash.update(std::vector<std::uint8_t>(64 * 48 * 3, static_cast<std::uint8_t>(grey)));
    };
    add(10);
    for (int chunk = 0; chunk < chunks; ++chunk) {
        for (int i = 0; i < 4; ++i) add(20 + chunk * 8 + held[static_cast<std::size_t>(chunk)]);
    }
    return hash.hex();
}

TEST(Headless, APoseStringWalksItsLengthIntoEveryOutput) {
    const test::TestFolder folder;
    Options options = options_of(folder);
    options.frames = folder / "frames";
    options.session_out = folder / "session.json";
#if WANDER_WITH_RECORDING
    options.out = folder / "walk.mp4";
#endif
    ASSERT_EQ(run_headless(options), 0);
    const Json metrics = read_json(options.metrics);
    EXPECT_EQ(metrics["frames"], 21);
    EXPECT_EQ(metrics["chunks"].size(), 5u);
    EXPECT_EQ(metrics["chunks"][0]["hold"], Json({"forward"}));
    EXPECT_EQ(metrics["chunks"][4]["hold"], Json({"yaw_right"}));
    EXPECT_EQ(metrics["frames_sha256"], expected_hash({1, 1, 1, 32, 32}, 5));
    EXPECT_GT(metrics["start_ms"], 0.0);
    for (int i = 0; i < 21; ++i) {
        char name[16];
        std::snprintf(name, sizeof name, "%06d.png", i);
        EXPECT_TRUE(std::filesystem::exists(options.frames / name)) << name;
    }
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(options.frames), std::filesystem::directory_iterator()),
              21);
    const Json session = read_json(options.session_out);
    EXPECT_EQ(session["start"], "here");
    EXPECT_EQ(session["controls"].size(), 2u);
    if (!options.out.empty()) {
        EXPECT_TRUE(std::filesystem::exists(options.out));
    }
    EXPECT_EQ(folder.files(), options.out.empty() ? 3u : 4u) << "no part may be left";
}

TEST(Headless, ChunksAndCacheOfAScript) {
    const test::TestFolder folder;
    Options options = options_of(folder);
    std::ofstream(folder / "walk.jsonl") << R"({"chunk": 1, "hold": ["forward"], "cache": "int2"})" << '\n'
                                         << R"({"chunk": 2, "cache": "bf16"})";
    options.controls = (folder / "walk.jsonl").string();
    options.chunks = 4;
    ASSERT_EQ(run_headless(options), 0);
    const Json metrics = read_json(options.metrics);
    ASSERT_EQ(metrics["chunks"].size(), 4u);
    EXPECT_EQ(metrics["chunks"][0]["format"], "bf16");
    EXPECT_EQ(metrics["chunks"][1]["format"], "int2");
    EXPECT_EQ(metrics["chunks"][3]["format"], "bf16");
    EXPECT_EQ(metrics["frames_sha256"], expected_hash({0, 1, 1, 1}, 4));
}

TEST(Headless, CacheRulesOfTheCommandLineAndOfAScript) {
    const test::TestFolder folder;
    Options options = options_of(folder);
    std::ofstream(folder / "walk.jsonl")
        << R"({"chunk": 1, "bias_correction": true, "cache_layers": "0-1:int2,5:bf16", "keep_sink": false})";
    options.controls = (folder / "walk.jsonl").string();
    options.cache_rules.keep_recent = 3;
    options.session_out = folder / "session.json";
    ASSERT_EQ(run_headless(options), 0);
    const Json cache = read_json(options.metrics)["cache"];
    EXPECT_EQ(cache["keep_recent"], 3);
    EXPECT_EQ(cache["keep_sink"], false);
    EXPECT_EQ(cache["bias_correction"], true);
    EXPECT_EQ(cache["cache_layers"], "0-1:int2,5:bf16");
    const Json session = read_json(options.session_out);
    EXPECT_EQ(session["keep_recent"], 3);
    EXPECT_EQ(session["bias_correction"], false);
    EXPECT_EQ(session["controls"][0]["cache_layers"], "0-1:int2,5:bf16");
}

#if WANDER_WITH_RECORDING
TEST(Headless, AScriptSwitchesRecordingsOnAndOff) {
    const test::TestFolder folder;
    Options options = options_of(folder);
    std::ofstream(folder / "walk.jsonl") << R"({"chunk": 1, "record": true})" << '\n'
                                         << R"({"chunk": 3, "record": false})" << '\n'
                                         << R"({"chunk": 4, "record": true})";
    options.controls = (folder / "walk.jsonl").string();
    options.chunks = 6;
    options.record_dir = folder / "recordings";
    ASSERT_EQ(run_headless(options), 0);
    int files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(options.record_dir)) {
        EXPECT_EQ(entry.path().extension(), ".mp4");
        ++files;
    }
    EXPECT_EQ(files, 2);
}
#endif

TEST(Headless, BadInputIsExitCode2AndWritesNothing) {
    const test::TestFolder folder;
    const auto exit_code_of = [&](auto change) {
        Options options = options_of(folder);
        change(options);
        const int code = run_headless(options);
        EXPECT_FALSE(std::filesystem::exists(options.metrics));
        return code;
    };
    EXPECT_EQ(exit_code_of([](Options& o) { o.controls = "jump-4"; }), 2);
    EXPECT_EQ(exit_code_of([](Options& o) { o.controls = "/no/such/file.jsonl"; }), 2);
    EXPECT_EQ(exit_code_of([](Options& o) { o.start = "nowhere"; }), 2);
    EXPECT_EQ(exit_code_of([](Options& o) { o.device = "cuda"; }), 2);
    EXPECT_EQ(exit_code_of([](Options& o) { o.metrics = "/no/such/folder/m.json"; }), 2);
    EXPECT_EQ(exit_code_of([](Options& o) { o.frames = "/dev/null/frames"; }), 2);
    std::ofstream(folder / "format.jsonl") << R"({"chunk": 2, "cache": "int3"})";
    EXPECT_EQ(exit_code_of([&](Options& o) { o.controls = (folder / "format.jsonl").string(); }), 2);
    for (const char* line : {R"({"chunk": 2, "cache": "int8"})", R"({"chunk": 2, "cache_layers": "0:int8"})",
                             R"({"chunk": 2, "cache_layers": "6:int2"})", R"({"chunk": 2, "keep_recent": -1})",
                             R"({"chunk": 2, "cache_layers": "int2"})", R"({"chunk": 2, "keep_sink": 1})"}) {
        std::ofstream(folder / "format.jsonl", std::ios::trunc) << line;
        EXPECT_EQ(exit_code_of([&](Options& o) { o.controls = (folder / "format.jsonl").string(); }), 2) << line;
    }
    EXPECT_EQ(folder.files(), 1u);
}

TEST(Headless, AFullDiskEndsTheWalkWithExitCode1) {
    const test::TestFolder folder;
    Options options = options_of(folder);
    options.frames = folder / "frames";
    options.chunks = 200;
    std::filesystem::create_directories(options.frames);
    std::filesystem::create_directories(options.frames / "000003.png/in the way"); // a frame that cannot be written
    EXPECT_EQ(run_headless(options), 1);
    EXPECT_FALSE(std::filesystem::exists(options.metrics));
}

} // namespace
} // namespace wander
