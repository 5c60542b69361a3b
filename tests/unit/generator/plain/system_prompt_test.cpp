// The model's instruction is found in source text, kept, checked; another one is refused.

#include "generator/text/plain/system_prompt.hpp"

#include "generator/plain/sha256.hpp"
#include "tests/support/small_byte_pair.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace wander {
namespace {

// One of our own: 4 spaces in a row, a quote, a letter beyond ASCII.
constexpr std::string_view kText = "Say what is seen:    1. the \"ground\" 2. the sk\xC3\xBC.";

std::string sha_of(std::string_view text) {
    Sha256 sha;
    sha.update({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
    return sha.hex();
}

class SystemPrompt : public ::testing::Test {
protected:
    bool finds(std::string_view python) const {
        const auto found = find_system_prompt(python, mark_);
        return found && *found == kText;
    }
    std::string sha_ = sha_of(kText);
    SystemPromptMark mark_{sha_, kText.size(), 50};
};

TEST_F(SystemPrompt, IsFoundHoweverPythonWritesIt) {
    EXPECT_TRUE(finds("X = 'Say what is seen:    1. the \"ground\" 2. the sk\xC3\xBC.'"));
    EXPECT_TRUE(finds("X = \"Say what is seen:    1. the \\\"ground\\\" 2. the sk\\u00fc.\"  # x"));
    EXPECT_TRUE(
        finds("X = {'role': 'system', 'content': \"\"\"Say what is seen:\\\n    1. the \"ground\" 2. the "
              "sk\\xfc.\"\"\"}"))
        << "joined lines keep their indent";
    EXPECT_TRUE(finds("X = \"Say what is seen:\\\r\n    1. the \\\"ground\\\" 2. the sk\\374.\"\r\n"));
    EXPECT_TRUE(
        finds("f(a, ('Say what is seen:    1. ' # the first\n  u'the \"ground\" '\n  r'2. the sk\xC3\xBC.'), 'b')"));
    EXPECT_TRUE(finds("# it's a trap: \"\nX = 'no' + 'Say what is seen:    1. the \"ground\" 2. the sk\xC3\xBC.'\n"));
}

TEST_F(SystemPrompt, ANearMissIsNotTaken) {
    EXPECT_FALSE(finds("X = 'Say what is seen:   1. the \"ground\" 2. the sk\xC3\xBC.'")) << "three spaces";
    EXPECT_FALSE(finds("X = 'Say what is seen:    1. ' + 'the \"ground\" 2. the sk\xC3\xBC.'")) << "not adjacent";
    EXPECT_FALSE(finds("X = r'Say what is seen:    1. the \"ground\" 2. the sk\\u00fc.'")) << "raw";
    EXPECT_FALSE(finds(""));
    EXPECT_FALSE(finds("X = 'unfinished \\"));
    EXPECT_FALSE(is_system_prompt(kText)) << "the published one is another";
}

TEST_F(SystemPrompt, IsReadFromCodeOrFromItsOwnFile) {
    const auto path = std::filesystem::temp_directory_path() / "wander_system_prompt_test.txt";
    for (const std::string& text : {std::string(kText), "X = '''" + std::string(kText) + "'''\n"}) {
        std::ofstream(path, std::ios::binary) << text;
        const auto read = read_system_prompt(path, mark_);
        ASSERT_TRUE(read) << read.error().message;
        EXPECT_EQ(*read, kText);
    }
    const auto other = read_system_prompt(path);
    ASSERT_FALSE(other);
    EXPECT_NE(other.error().message.find("547f3e99"), std::string::npos) << other.error().message;
    EXPECT_NE(other.error().message.find("--system-prompt-from"), std::string::npos) << other.error().message;
    std::filesystem::remove(path);
    const auto absent = read_system_prompt(path, mark_);
    ASSERT_FALSE(absent);
    EXPECT_NE(absent.error().message.find(path.string()), std::string::npos);
}

TEST_F(SystemPrompt, AChatNeedsTheRightInstructionAndTheRightTokenizer) {
    const auto tokenizer = *BytePairTokenizer::parse(testing::small_files({}), "here");
    const auto missing = hunyuan_chat(tokenizer, "", "x", 1000, mark_);
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, ErrorCode::unavailable);
    EXPECT_NE(missing.error().message.find("--system-prompt-from"), std::string::npos) << missing.error().message;
    const auto other = hunyuan_chat(tokenizer, "Say what is seen.", "x", 1000, mark_);
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().code, ErrorCode::bad_input);
    const auto crop = chat_tokens(tokenizer, kText, "x").crop;
    const auto wrong = hunyuan_chat(tokenizer, kText, "x", 1000, mark_);
    ASSERT_FALSE(wrong);
    EXPECT_NE(wrong.error().message.find(std::to_string(crop) + " tokens"), std::string::npos) << wrong.error().message;
    const auto right = hunyuan_chat(tokenizer, kText, "xyz", 2, {sha_, kText.size(), crop});
    ASSERT_TRUE(right) << right.error().message;
    EXPECT_EQ(right->crop, crop);
    EXPECT_TRUE(right->truncated);
    EXPECT_EQ(right->ids.size(), crop + 2);
}

} // namespace
} // namespace wander
