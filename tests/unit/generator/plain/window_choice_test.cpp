#include "generator/rollout/plain/window_choice.hpp"

#include <gtest/gtest.h>

namespace wander {
namespace {

TEST(WindowChoice, PresetsAreReadBackUnderTheirNames) {
    for (const WindowPreset& preset : window_presets()) {
        const auto choice = parse_window(std::string(preset.name));
        ASSERT_TRUE(choice) << preset.name;
        EXPECT_EQ(*choice, preset.choice);
        EXPECT_EQ(window_text(*choice), preset.name);
        EXPECT_TRUE(check_window(*choice, 3)) << preset.name;
    }
}

TEST(WindowChoice, NumbersAreReadAndWritten) {
    const auto choice = parse_window("42+3:slots");
    ASSERT_TRUE(choice);
    EXPECT_EQ(*choice, (WindowChoice{42, 3, true}));
    EXPECT_EQ(window_text(*choice), "42+3:slots");
    EXPECT_EQ(choice->history_latents(3), 36);
    EXPECT_EQ(window_text(*parse_window("21")), "rolling");
    ASSERT_TRUE(parse_window("all+3"));
    EXPECT_EQ(parse_window("all+3")->view_latents, 0);
    EXPECT_EQ(window_text(*parse_window("all+3")), "all+3");
    EXPECT_TRUE(check_window(*parse_window("all"), 3));
    EXPECT_EQ(parse_window("9+3")->history_latents(3), 3);
}

TEST(WindowChoice, WrongWordsNameWhatIsPossible) {
    for (const char* text : {"", "wide", "0", "-3", "12+", "12+x", "12:slot", "99999"}) {
        const auto choice = parse_window(text);
        ASSERT_FALSE(choice) << text;
        EXPECT_EQ(choice.error().code, ErrorCode::wrong_use);
        EXPECT_NE(choice.error().message.find("anchored"), std::string::npos);
    }
    EXPECT_FALSE(check_window({21, 2, false}, 3)); // two thirds of a chunk
    EXPECT_FALSE(check_window({6, 3, false}, 3));  // no history
    EXPECT_TRUE(check_window({6, 2, false}, 1));
}

} // namespace
} // namespace wander
