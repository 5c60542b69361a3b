#include "app/controls_script.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include <sys/stat.h>
#include <unistd.h>

namespace wander {
namespace {

std::uint16_t bits(std::initializer_list<Action> actions) {
    ControlState state;
    for (const Action action : actions) state.set(action, true);
    return state.held;
}

TEST(ControlsScript, HoldsStayUntilTheyChangeAndTheRestIsForItsChunk) {
    const auto script = ControlsScript::from_json_lines(R"({"chunk": 0, "hold": ["forward"]}

{"chunk": 3, "hold": ["forward", "yaw_right"], "cache": "int2"}
{"chunk": 5, "pause": 0.5, "record": true, "prompt": "snow"}
{"chunk": 8, "hold": [], "record": false}
)",
                                                        "walk.jsonl");
    ASSERT_TRUE(script) << script.error().message;
    EXPECT_EQ(script->at(0, 1).held, bits({Action::forward}));
    EXPECT_EQ(script->at(2, 1).held, bits({Action::forward}));
    EXPECT_FALSE(script->at(2, 1).cache);
    EXPECT_EQ(script->at(3, 1).held, bits({Action::forward, Action::yaw_right}));
    EXPECT_EQ(script->at(3, 1).cache, "int2");
    EXPECT_FALSE(script->at(4, 1).cache);
    EXPECT_EQ(script->at(5, 1).held, bits({Action::forward, Action::yaw_right})) << "no hold = unchanged";
    EXPECT_EQ(script->at(5, 1).pause_seconds, 0.5);
    EXPECT_EQ(script->at(5, 1).record, true);
    EXPECT_EQ(script->at(5, 1).prompt, "snow");
    EXPECT_EQ(script->at(8, 1).held, 0);
    EXPECT_EQ(script->at(8, 1).record, false);
    EXPECT_EQ(script->at(100, 1).held, 0);
    EXPECT_EQ(script->chunks(1), 9);
}

TEST(ControlsScript, MouseTravelIsForItsChunkAlone) {
    const auto script = ControlsScript::from_json_lines(R"({"chunk": 2, "mouse": [0.5, -1]})", "f");
    ASSERT_TRUE(script) << script.error().message;
    EXPECT_FALSE(script->at(1, 1).mouse.any());
    EXPECT_EQ(script->at(2, 1).mouse, (MouseTravel{0.5f, -1}));
    EXPECT_FALSE(script->at(3, 1).mouse.any());
    EXPECT_EQ(script->chunks(1), 3);
    for (const char* wrong : {"0.5", "[0.5]", "[0.5, 1, 2]", R"(["right", 0])", "[1e9, 0]", "[null, 0]"}) {
        const auto refused =
            ControlsScript::from_json_lines(std::string(R"({"chunk": 0, "mouse": )") + wrong + "}", "f");
        ASSERT_FALSE(refused) << wrong;
        EXPECT_NE(refused.error().message.find("\"mouse\""), std::string::npos) << refused.error().message;
    }
}

TEST(ControlsScript, SticksStandUntilAnotherLineMovesThem) {
    const auto script = ControlsScript::from_json_lines(
        "{\"chunk\": 1, \"sticks\": [0.5, 0, -1, 0]}\n{\"chunk\": 3, \"sticks\": [0, 0, 0, 0]}", "f");
    ASSERT_TRUE(script) << script.error().message;
    EXPECT_FALSE(script->at(0, 1).sticks->any());
    EXPECT_EQ(*script->at(2, 1).sticks, (StickPosition{0.5F, 0, -1, 0}));
    EXPECT_FALSE(script->at(3, 1).sticks->any());
    for (const char* wrong : {"[0, 0, 0]", "[2, 0, 0, 0]", "[0, 0, 0, \"x\"]", "1"}) {
        const auto refused =
            ControlsScript::from_json_lines(std::string(R"({"chunk": 0, "sticks": )") + wrong + "}", "f");
        ASSERT_FALSE(refused) << wrong;
        EXPECT_NE(refused.error().message.find("FORWARD"), std::string::npos);
    }
}

TEST(ControlsScript, TheLastHoldOfAFileStays) {
    const auto script = ControlsScript::from_json_lines(R"({"chunk": 1, "hold": ["up", "left"]})", "f");
    ASSERT_TRUE(script);
    EXPECT_EQ(script->at(0, 1).held, 0);
    EXPECT_EQ(script->at(1000, 1).held, bits({Action::left, Action::up}));
}

TEST(ControlsScript, EveryActionNameIsKnown) {
    for (int i = 0; i < kActionCount; ++i) {
        const std::string line =
            R"({"chunk": 0, "hold": [")" + std::string(kActionNames[static_cast<std::size_t>(i)]) + R"("]})";
        const auto script = ControlsScript::from_json_lines(line, "f");
        ASSERT_TRUE(script) << line;
        EXPECT_EQ(script->at(0, 1).held, 1 << i);
    }
}

TEST(ControlsScript, PoseStringsHaveOneActionALatentAndNothingAfter) {
    const auto script = ControlsScript::from_pose_string("w-2,right-3");
    ASSERT_TRUE(script) << script.error().message;
    EXPECT_EQ(script->at(0, 1).held, bits({Action::forward}));
    EXPECT_EQ(script->at(1, 1).held, bits({Action::forward}));
    EXPECT_EQ(script->at(2, 1).held, bits({Action::yaw_right}));
    EXPECT_EQ(script->at(4, 1).held, bits({Action::yaw_right}));
    EXPECT_EQ(script->at(5, 1).held, 0);
    EXPECT_EQ(script->chunks(1), 5);
    EXPECT_EQ(script->chunks(3), 2);
    EXPECT_EQ(script->at(1, 3).held, bits({Action::yaw_right})) << "a chunk of 3 latents takes its first latent's step";
}

TEST(ControlsScript, MistakesNameFileLineAndCause) {
    const struct {
        const char* text;
        const char* part;
    } cases[] = {
        {"{\"chunk\": 0}\nnonsense", "walk.jsonl, line 2"},
        {"{\"chunk\": 0", "not JSON"},
        {"[1]", "not a JSON object"},
        {"{\"hold\": []}", "\"chunk\""},
        {"{\"chunk\": -1}", "\"chunk\""},
        {"{\"chunk\": 1.5}", "\"chunk\""},
        {"{\"chunk\": 1e300}", "\"chunk\""},
        {"{\"chunk\": 0, \"hold\": [\"jump\"]}", "unknown action \"jump\""},
        {"{\"chunk\": 0, \"hold\": \"forward\"}", "list of actions"},
        {"{\"chunk\": 0, \"hold\": [3]}", "unknown action 3"},
        {"{\"chunk\": 0, \"holds\": []}", "unknown key \"holds\""},
        {"{\"chunk\": 0, \"pause\": -1}", "\"pause\""},
        {"{\"chunk\": 0, \"record\": 1}", "\"record\""},
        {"{\"chunk\": 0, \"cache\": 2}", "\"cache\""},
        {"{\"chunk\": 4}\n{\"chunk\": 4}", "must come after chunk 4 of line 1"},
    };
    for (const auto& one : cases) {
        const auto script = ControlsScript::from_json_lines(one.text, "walk.jsonl");
        ASSERT_FALSE(script) << one.text;
        EXPECT_EQ(script.error().code, ErrorCode::bad_input);
        EXPECT_NE(script.error().message.find(one.part), std::string::npos) << script.error().message;
        EXPECT_NE(script.error().message.find("walk.jsonl, line "), std::string::npos);
    }
}

TEST(ControlsScript, ArgumentIsAFileOrAPoseString) {
    EXPECT_TRUE(ControlsScript::load(""));
    EXPECT_TRUE(ControlsScript::load("w-4"));
    const auto missing = ControlsScript::load("/no/such/walk.jsonl");
    ASSERT_FALSE(missing);
    EXPECT_NE(missing.error().message.find("no such file"), std::string::npos);
    const auto action = ControlsScript::load("jump-4");
    ASSERT_FALSE(action);
    EXPECT_EQ(action.error().code, ErrorCode::wrong_use);
    EXPECT_NE(action.error().message.find("jump"), std::string::npos);
    const auto folder = ControlsScript::load(std::filesystem::temp_directory_path().string());
    ASSERT_FALSE(folder);
    EXPECT_NE(folder.error().message.find("a folder"), std::string::npos);
}

// As a shell's <(...) gives it.
TEST(ControlsScript, AFileMayBeAPipe) {
    const auto pipe = std::filesystem::temp_directory_path() / ("wander_controls_pipe_" + std::to_string(getpid()));
    ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
    std::jthread writer([&] { std::ofstream(pipe) << "{\"chunk\": 3, \"cache\": \"int2\"}\n"; });
    auto script = ControlsScript::load(pipe.string());
    writer.join();
    std::filesystem::remove(pipe);
    ASSERT_TRUE(script) << script.error().message;
    EXPECT_EQ(script->at(3, 1).cache, "int2");
}

} // namespace
} // namespace wander
