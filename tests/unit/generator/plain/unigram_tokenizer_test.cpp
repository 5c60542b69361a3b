// The unigram tokenizer on a vocabulary that can be checked by hand. Goldens: tests/parity/tokenizer_test.cpp.

#include "generator/text/plain/unigram_tokenizer.hpp"
#include "tests/support/small_tokenizer.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace wander::testing {
namespace {

std::shared_ptr<const UnigramTokenizer> open(const nlohmann::json& file) {
    auto made = UnigramTokenizer::parse(file.dump(), "tokenizer.json");
    if (!made) throw std::runtime_error(made.error().message);
    return *made;
}

std::vector<int> ids(const UnigramTokenizer& tokenizer, std::string_view text, std::size_t most = 512) {
    std::vector<int> list;
    for (const PromptToken& token : tokenizer.encode(text, most).tokens) list.push_back(token.id);
    return list;
}

std::string complaint(const nlohmann::json& file) {
    const auto made = UnigramTokenizer::parse(file.dump(), "T");
    return made ? "" : made.error().message;
}

using Ids = std::vector<int>;

TEST(Unigram, TakesTheBestSumAndTheEarlierStartOfEqualOnes) {
    const auto tokenizer = open(small_tokenizer());
    EXPECT_EQ(ids(*tokenizer, ""), (Ids{1}));
    EXPECT_EQ(ids(*tokenizer, "a"), (Ids{6, 1}));
    // U+2581 a b: [_a][b] is -6, better than [_][a][b] -7, [_][ab] -7 and [_ab] -8.
    EXPECT_EQ(ids(*tokenizer, "ab"), (Ids{6, 8, 1}));
    // In "bab" the end can be [a][b] or [ab], both -4: the one whose last piece begins first.
    EXPECT_EQ(ids(*tokenizer, "bab"), (Ids{5, 8, 9, 1}));
    EXPECT_EQ(ids(*tokenizer, "a  a"), (Ids{6, 6, 1})); // normalised, and every word by itself
}

TEST(Unigram, UnknownCharactersAreOneTokenWithTheIdOfTheFile) {
    const auto tokenizer = open(small_tokenizer());
    EXPECT_EQ(ids(*tokenizer, "a\u00E9\U0001F600b"), (Ids{6, 3, 8, 1}));
    EXPECT_EQ(tokenizer->encode("a\u00E9\U0001F600b", 9).tokens[1].text, "\u00E9\U0001F600");
    EXPECT_EQ(ids(*tokenizer, "z z"), (Ids{5, 3, 5, 3, 1})); // not across words
    EXPECT_EQ(ids(*tokenizer, "a\xFF"), (Ids{6, 3, 1}));
    auto other = small_tokenizer();
    other["model"]["unk_id"] = 2;
    EXPECT_EQ(ids(*open(other), "z"), (Ids{5, 2, 1}));
}

TEST(Unigram, BytesStandForUnknownCharactersWhereTheFileSaysSo) {
    auto file = small_tokenizer();
    file["model"]["vocab"].push_back(nlohmann::json::array({"<0xC3>", 0.0}));
    file["model"]["vocab"].push_back(nlohmann::json::array({"<0xA9>", 0.0}));
    EXPECT_EQ(ids(*open(file), "\u00E9"), (Ids{5, 3, 1}));
    file["model"]["byte_fallback"] = true;
    EXPECT_EQ(ids(*open(file), "\u00E9"), (Ids{5, 12, 13, 1}));
    EXPECT_EQ(ids(*open(file), "\u00E8"), (Ids{5, 3, 1}));  // not all of its bytes are there
    EXPECT_EQ(ids(*open(file), "<0xC3>"), (Ids{5, 12, 1})); // an ordinary piece all the same
}

TEST(Unigram, AddedTokensAreTakenOutFirst) {
    const auto tokenizer = open(small_tokenizer());
    EXPECT_EQ(ids(*tokenizer, "a</s>b<x_1> a"), (Ids{6, 1, 5, 8, 12, 6, 1}));
    EXPECT_EQ(ids(*tokenizer, "a <s>"), (Ids{6, 5, 2, 1}));
    EXPECT_EQ(ids(*tokenizer, "[web]"), (Ids{5, 4, 1})); // a piece, not an added token
    auto file = small_tokenizer();
    file["added_tokens"][2]["lstrip"] = true;
    file["added_tokens"][2]["rstrip"] = true;
    EXPECT_EQ(ids(*open(file), "a <s>  a"), (Ids{6, 2, 6, 1}));
    file = small_tokenizer(); // the longest of those that begin at one place
    file["added_tokens"].push_back({{"id", 13}, {"content", "<s>b"}, {"special", true}});
    EXPECT_EQ(ids(*open(file), "<s>b<s>"), (Ids{13, 2, 1}));
}

TEST(Unigram, BothSpellingsOfMetaspace) {
    auto file = small_tokenizer();
    auto& rule = file["pre_tokenizer"];
    rule["add_prefix_space"] = false;
    EXPECT_EQ(ids(*open(file), "a a"), (Ids{7, 6, 1}));
    rule = {{"type", "Metaspace"}, {"replacement", "\u2581"}, {"prepend_scheme", "always"}, {"split", true}};
    EXPECT_EQ(ids(*open(file), "a<s>a"), (Ids{6, 2, 6, 1}));
    rule["prepend_scheme"] = "first";
    EXPECT_EQ(ids(*open(file), "a<s>a"), (Ids{6, 2, 7, 1}));
    EXPECT_EQ(ids(*open(file), "<s>a"), (Ids{2, 7, 1}));
    rule["prepend_scheme"] = "never";
    EXPECT_EQ(ids(*open(file), "a"), (Ids{7, 1}));
    rule["prepend_scheme"] = "always";
    rule["split"] = false; // unknown ones may then be one across a space
    EXPECT_EQ(ids(*open(file), "z z"), (Ids{5, 3, 5, 3, 1}));
    EXPECT_EQ(ids(*open(file), "\u2581a"), (Ids{6, 1})); // no second one in front
    file["pre_tokenizer"] = {{"type", "Sequence"},
                             {"pretokenizers", {{{"type", "WhitespaceSplit"}}, small_tokenizer()["pre_tokenizer"]}}};
    EXPECT_EQ(ids(*open(file), " a\t a "), (Ids{6, 6, 1}));
}

TEST(Unigram, CutPromptsKeepTheirEndToken) {
    const auto tokenizer = open(small_tokenizer());
    const TokenizedPrompt cut = tokenizer->encode("a a a a a", 4);
    EXPECT_EQ(ids(*tokenizer, "a a a a a", 4), (Ids{6, 6, 6, 1}));
    EXPECT_EQ(cut.all_tokens, 6u);
    EXPECT_TRUE(cut.truncated());
    EXPECT_FALSE(tokenizer->encode("a a a", 4).truncated());
}

// Trap 10 of the model: bos must not appear, eos must.
TEST(Unigram, TheTemplateOfTheFileIsWhatIsPutAround) {
    auto file = small_tokenizer();
    const auto start = nlohmann::json::parse(R"({"SpecialToken": {"id": "<s>", "type_id": 0}})");
    auto& single = file["post_processor"]["single"];
    single.insert(single.begin(), start);
    file["post_processor"]["special_tokens"]["<s>"] = {{"id", "<s>"}, {"ids", nlohmann::json::array({2})}};
    EXPECT_EQ(ids(*open(file), "a"), (Ids{2, 6, 1}));
    file["post_processor"] = nullptr;
    EXPECT_EQ(ids(*open(file), "a"), (Ids{6}));
}

TEST(Unigram, WhatIsNotUnderstoodIsNamed) {
    const auto broken = [](const char* pointer, const nlohmann::json& value) {
        auto file = small_tokenizer();
        file[nlohmann::json::json_pointer(pointer)] = value;
        return complaint(file);
    };
    EXPECT_EQ(complaint(small_tokenizer()), "");
    EXPECT_NE(broken("/model/type", "BPE").find("T: the model 'BPE'"), std::string::npos);
    EXPECT_NE(broken("/model/unk_id", nullptr).find("unk_id"), std::string::npos);
    EXPECT_NE(broken("/model/unk_id", 99).find("unk_id"), std::string::npos);
    EXPECT_NE(broken("/model/unk_id", 18446744073709551615u).find("unk_id"), std::string::npos);
    EXPECT_NE(broken("/model/vocab/2", "x").find("piece 2"), std::string::npos);
    EXPECT_NE(broken("/model/vocab", nlohmann::json::array()).find("vocab"), std::string::npos);
    EXPECT_NE(broken("/normalizer/normalizers/0/type", "NFKD").find("'NFKD'"), std::string::npos);
    const nlohmann::json map = {{"type", "Precompiled"}, {"precompiled_charsmap", "AAAA?"}};
    EXPECT_NE(broken("/normalizer/normalizers/0", map).find("character map"), std::string::npos);
    EXPECT_NE(broken("/normalizer/normalizers/0/pattern/Regex", "\\s+").find("pattern"), std::string::npos);
    EXPECT_NE(broken("/pre_tokenizer/type", "ByteLevel").find("'ByteLevel'"), std::string::npos);
    EXPECT_NE(broken("/pre_tokenizer/replacement", "").find("one character"), std::string::npos);
    EXPECT_NE(broken("/post_processor/type", "Bert").find("'Bert'"), std::string::npos);
    EXPECT_NE(broken("/added_tokens/1/single_word", true).find("single_word"), std::string::npos);
    EXPECT_FALSE(UnigramTokenizer::parse("{", "T"));
    EXPECT_FALSE(UnigramTokenizer::parse("[]", "T"));
    EXPECT_FALSE(PromptTokenizer::open("/nowhere/tokenizer.json"));
}

TEST(PieceIndex, FindsEveryPieceOnceAndTheLastOfEqualOnes) {
    const PieceIndex index({"abcdefghi", "", "abcdefghij", "a", "abcdefgh", "a", "b\xFF"});
    std::vector<std::pair<std::size_t, int>> found;
    index.prefixes("abcdefghijk", [&](std::size_t length, int id) { found.emplace_back(length, id); });
    const std::vector<std::pair<std::size_t, int>> expected = {{1, 5}, {8, 4}, {9, 0}, {10, 2}};
    EXPECT_EQ(found, expected);
    EXPECT_EQ(index.find("abcdefgh"), 4);
    EXPECT_EQ(index.find("abcdefg"), -1);
    EXPECT_EQ(index.find(""), -1);
    EXPECT_EQ(index.find("b\xFF"), 6);
}

} // namespace
} // namespace wander::testing
