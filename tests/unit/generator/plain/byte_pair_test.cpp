// The byte-pair tokenizer with a vocabulary made here: order of merges, added tokens, wrong files, long words.

#include "generator/text/plain/byte_pair_tokenizer.hpp"
#include "generator/text/plain/byte_pair_words.hpp"
#include "generator/text/plain/utf8.hpp"
#include "tests/support/small_byte_pair.hpp"

#include <gtest/gtest.h>

namespace wander {
namespace {

using testing::small_files;

BytePairTokenizer small(const std::vector<std::pair<std::string, std::string>>& merges) {
    auto tokenizer = BytePairTokenizer::parse(small_files(merges), "here");
    EXPECT_TRUE(tokenizer) << tokenizer.error().message;
    return std::move(*tokenizer);
}

using Ids = std::vector<int>;

TEST(BytePair, TheFirstLearntPairIsMergedFirst) {
    EXPECT_EQ(small({{"b", "c"}, {"a", "b"}}).encode("abc"), (Ids{'a', 256}));
    EXPECT_EQ(small({{"a", "b"}, {"b", "c"}}).encode("abc"), (Ids{256, 'c'}));
    EXPECT_EQ(small({{"a", "a"}}).encode("aaaaa"), (Ids{256, 256, 'a'})) << "from the left";
    EXPECT_EQ(small({{"a", "a"}, {"aa", "aa"}}).encode("aaaaa"), (Ids{257, 'a'}));
    // ab is learnt later than the pair it becomes a part of; cd first, then ab, then abcd.
    EXPECT_EQ(small({{"c", "d"}, {"a", "b"}, {"ab", "cd"}}).encode("abcd"), (Ids{258}));
    EXPECT_EQ(small({{"a", "b"}}).encode("a b"), (Ids{'a', ' ', 'b'})) << "never across words";
    EXPECT_EQ(small({}).encode(""), Ids{});
}

TEST(BytePair, BytesOfOneCharacterMayBeApart) {
    const auto tokenizer = small({});
    EXPECT_EQ(tokenizer.encode("\xC3\xA9"), (Ids{0xC3, 0xA9}));
    EXPECT_EQ(tokenizer.encode("e\xCC\x81"), (Ids{0xC3, 0xA9})) << "composed first";
    EXPECT_EQ(tokenizer.encode("\xFF"), (Ids{0xEF, 0xBF, 0xBD}));
    EXPECT_EQ(tokenizer.bytes_of(0xC3), "\xC3");
    EXPECT_EQ(tokenizer.bytes_of(' '), " ");
    EXPECT_EQ(tokenizer.bytes_of(500), "");
}

TEST(BytePair, AddedTokensAreTakenOutOfTheRawText) {
    const auto tokenizer = small({{"|", ">"}});
    EXPECT_EQ(tokenizer.encode("a<|im_start|>b"), (Ids{'a', 9000, 'b'}));
    EXPECT_EQ(tokenizer.encode("<|im_end|>!<|im_end|>"), (Ids{9002, 9001})) << "the longest one";
    EXPECT_EQ(tokenizer.encode("<|im_END|>").back(), 256);
    EXPECT_EQ(tokenizer.id_of_added("<|im_end|>"), 9001);
    EXPECT_EQ(tokenizer.id_of_added("<|nothing|>"), -1);
    EXPECT_EQ(tokenizer.size(), 256u + 1 + 3);
}

TEST(BytePair, AVeryLongWordIsNoTrouble) {
    const auto tokenizer = small({{"a", "a"}, {"aa", "aa"}, {"aaaa", "aaaa"}});
    const auto ids = tokenizer.encode(std::string(200'001, 'a'));
    EXPECT_EQ(ids.size(), 25'001u);
    EXPECT_EQ(ids.front(), 258);
    EXPECT_EQ(ids.back(), 'a');
}

TEST(BytePair, AChatThatBeginsWithALineEndIsCutAtTheSamePlace) {
    const auto tokenizer = small({});
    const ChatTokens plain = chat_tokens(tokenizer, "S", "x");
    const ChatTokens line = chat_tokens(tokenizer, "S", "\nx");
    EXPECT_EQ(plain.crop, line.crop);
    EXPECT_EQ(plain.ids.size() + 1, line.ids.size());
    EXPECT_EQ(chat_tokens(tokenizer, "S", "").ids, chat_tokens(tokenizer, "S", " ").ids);
    EXPECT_EQ(plain.ids[plain.crop], 'x');
}

TEST(BytePair, NamesWhatAFileHoldsThatIsNotUnderstood) {
    const auto refused = [](auto change, const char* words) {
        auto files = small_files({{"a", "b"}});
        change(files);
        const auto tokenizer = BytePairTokenizer::parse(files, "folder");
        ASSERT_FALSE(tokenizer) << words;
        EXPECT_EQ(tokenizer.error().code, ErrorCode::bad_input);
        EXPECT_NE(tokenizer.error().message.find(words), std::string::npos) << tokenizer.error().message;
        EXPECT_TRUE(tokenizer.error().message.starts_with("folder/")) << tokenizer.error().message;
    };
    using Files = BytePairTokenizer::Files;
    refused([](Files& f) { f.vocab = "["; }, "vocab.json");
    refused([](Files& f) { f.vocab = R"({"a": 1})"; }, "byte 0 has no token");
    refused([](Files& f) { f.vocab = R"({"a": "x"})"; }, "has no id");
    refused([](Files& f) { f.vocab = R"({"a": 1, "b": 1})"; }, "twice");
    refused([](Files& f) { f.vocab = R"({" ": 1})"; }, "stands for no bytes");
    refused([](Files& f) { f.merges += "ab\n"; }, "line 3");
    refused([](Files& f) { f.merges += "x y\n"; }, "lacks");
    refused([](Files& f) { f.config = "{"; }, "tokenizer_config.json");
    refused([](Files& f) { f.config = R"({"tokenizer_class": "T5Tokenizer"})"; }, "T5Tokenizer");
    refused([](Files& f) { f.config = R"({"tokenizer_class": "Qwen2Tokenizer", "added_tokens_decoder": {"x": {}}})"; },
            "added token x");
    refused(
        [](Files& f) {
            f.config =
                R"({"tokenizer_class": "Qwen2Tokenizer", "added_tokens_decoder": {"9": {"content": "<>", "lstrip": true}}})";
        },
        "lstrip");
    refused(
        [](Files& f) {
            f.config = R"({"tokenizer_class": "Qwen2Tokenizer", "added_tokens_decoder": {"256": {"content": "<>"}}})";
        },
        "id of another");
    const auto absent = BytePairTokenizer::open("/nonexistent");
    ASSERT_FALSE(absent);
    EXPECT_NE(absent.error().message.find("vocab.json"), std::string::npos);
}

std::vector<std::string> words(std::u32string_view text) {
    std::vector<std::string> list;
    for (const auto word : byte_pair_words(text)) list.push_back(encode_utf8(word));
    return list;
}

TEST(BytePairWords, FollowTheirRulesInOrder) {
    using Words = std::vector<std::string>;
    EXPECT_EQ(words(U"I'm we'LL don't"), (Words{"I", "'m", " we", "'LL", " don", "'t"}));
    EXPECT_EQ(words(U"'\u017Fa 'ra"), (Words{"'\u017F", "a", " '", "ra"}));
    EXPECT_EQ(words(U"(ab) 12.5"), (Words{"(ab", ")", " ", "1", "2", ".", "5"}));
    EXPECT_EQ(words(U"a  b\n\n c"), (Words{"a", " ", " b", "\n\n", " c"}));
    EXPECT_EQ(words(U"a !?\r\n\nb"), (Words{"a", " !?\r\n\n", "b"}));
    EXPECT_EQ(words(U" \n \t x"), (Words{" \n", " \t", " x"}));
    EXPECT_EQ(words(U"x  "), (Words{"x", "  "}));
    EXPECT_EQ(words(U"\ta\u00A0b \u00B2"), (Words{"\ta", "\u00A0b", " ", "\u00B2"}));
    EXPECT_EQ(words(U""), Words{});
}

} // namespace
} // namespace wander
