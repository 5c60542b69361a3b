// Keys as words: the shipped file, one's own, and files that are wrong.

#include "generator/camera/camera_phrases.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

namespace wander {
namespace {

const std::filesystem::path kShipped = WANDER_SOURCE_DIR "/assets/prompts/camera_phrases.json";

std::uint16_t held(std::initializer_list<Action> actions) {
    ControlState state;
    for (const Action action : actions) state.set(action, true);
    return state.held;
}

std::filesystem::path write(const std::string& text) {
    const auto file =
        std::filesystem::path(::testing::TempDir()) / ("wander_phrases_test." + std::to_string(::getpid()) + ".json");
    std::ofstream(file) << text;
    return file;
}

TEST(CameraPhrases, EveryActionOfTheShippedFileHasItsOwnWords) {
    const auto phrases = CameraPhrases::read(kShipped);
    ASSERT_TRUE(phrases) << phrases.error().message;
    std::vector<std::string> seen;
    for (int i = 0; i < kActionCount; ++i) {
        const std::string words = phrases->words(static_cast<std::uint16_t>(1U << i));
        EXPECT_FALSE(words.empty()) << kActionNames[static_cast<std::size_t>(i)];
        EXPECT_EQ(std::count(seen.begin(), seen.end(), words), 0) << words;
        seen.push_back(words);
    }
    EXPECT_EQ(phrases->steer("A street.", 0), "A street.");
}

TEST(CameraPhrases, WordsFollowThePromptAsASentence) {
    const auto phrases = CameraPhrases::read(kShipped);
    ASSERT_TRUE(phrases);
    const auto both = held({Action::forward, Action::yaw_left});
    EXPECT_EQ(phrases->steer("A snowy street", both),
              "A snowy street. The camera moves steadily forward, the camera pans to the left.");
    EXPECT_EQ(phrases->steer("Is it snow?", held({Action::back})), "Is it snow? The camera pulls slowly back.");
    EXPECT_EQ(phrases->steer("", held({Action::back})), "The camera pulls slowly back.");
}

TEST(CameraPhrases, OppositesCancelOut) {
    const auto phrases = CameraPhrases::read(kShipped);
    ASSERT_TRUE(phrases);
    EXPECT_EQ(phrases->words(held({Action::forward, Action::back})), "");
    EXPECT_EQ(phrases->words(held({Action::forward, Action::back, Action::up})), phrases->words(held({Action::up})));
}

TEST(CameraPhrases, AWrongFileSaysWhatIsWrong) {
    const auto missing = CameraPhrases::read("/nowhere/phrases.json");
    ASSERT_FALSE(missing);
    EXPECT_NE(missing.error().message.find("/nowhere/phrases.json"), std::string::npos);
    const auto no_back = CameraPhrases::read(
        write(R"({"version": 1, "join": " ", "between": ", ", "none": "", "phrases": {"forward": "go"}})"));
    ASSERT_FALSE(no_back);
    EXPECT_EQ(no_back.error().code, ErrorCode::bad_input);
    EXPECT_NE(no_back.error().message.find("\"back\""), std::string::npos) << no_back.error().message;
    EXPECT_FALSE(CameraPhrases::read(write("{")));
}

} // namespace
} // namespace wander
