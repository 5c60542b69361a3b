#include "generator/plain/prompt_list.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <set>

namespace wander {
namespace {

TEST(PromptList, TheShippedOnesAreThereAndDiffer) {
    const auto prompts = read_prompts(WANDER_SOURCE_DIR "/assets/prompts/prompts.json");
    ASSERT_TRUE(prompts) << prompts.error().message;
    std::set<std::string> names;
    for (const NamedPrompt& prompt : *prompts) {
        EXPECT_TRUE(names.insert(prompt.name).second) << prompt.name;
        EXPECT_GT(prompt.text.size(), 100u) << "these models want long descriptions";
    }
}

TEST(PromptList, AnEmptyOrDamagedFileIsRefused) {
    const auto file =
        std::filesystem::path(::testing::TempDir()) / ("wander_prompts_test." + std::to_string(::getpid()) + ".json");
    for (const char* text : {"", R"({"version": 1, "prompts": []})", R"({"version": 1, "prompts": [{"name": "a"}]})"}) {
        std::ofstream(file) << text;
        const auto prompts = read_prompts(file);
        ASSERT_FALSE(prompts) << text;
        EXPECT_EQ(prompts.error().code, ErrorCode::bad_input);
        EXPECT_NE(prompts.error().message.find(file.string()), std::string::npos);
    }
}

} // namespace
} // namespace wander
