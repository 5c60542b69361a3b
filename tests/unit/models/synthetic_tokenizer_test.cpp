// The made-up tokenizer.json has what the text side reads, at the places where the real one has it.

#include "tests/support/synthetic_tokenizer.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <set>

namespace wander {
namespace {

TEST(SyntheticTokenizer, HasTheCountsAndPlacesOfTheRealOne) {
    const auto file = nlohmann::json::parse(test::synthetic_tokenizer(256'300, 300));
    const auto& vocab = file.at("model").at("vocab");
    ASSERT_EQ(vocab.size(), 256'300U);
    EXPECT_EQ(file["added_tokens"].size(), 304U);
    EXPECT_EQ(file["model"]["unk_id"], 3);
    EXPECT_EQ(file["model"]["byte_fallback"], false);
    EXPECT_EQ(vocab[1][0], "</s>");
    EXPECT_EQ(vocab[17][0], "<0x00>");
    EXPECT_EQ(vocab[272][0], "<0xFF>");
    EXPECT_EQ(vocab[273][0], "\xe2\x96\x81");
    EXPECT_EQ(vocab[256'000][0], "<extra_id_299>");
    EXPECT_EQ(vocab[256'299][0], "<extra_id_0>");
    std::set<std::string> pieces;
    for (const auto& piece : vocab) {
        const auto& text = piece[0].get_ref<const std::string&>();
        pieces.insert(text);
        std::size_t characters = 0;
        for (const char c : text) characters += (static_cast<unsigned char>(c) & 0xc0U) != 0x80U ? 1 : 0;
        ASSERT_LE(characters, 16U);
        ASSERT_LE(piece[1].get<double>(), 0.0);
    }
    EXPECT_EQ(pieces.size(), vocab.size()) << "every piece once";
    for (const auto& token : file["added_tokens"])
        EXPECT_EQ(vocab[token["id"].get<std::size_t>()][0], token["content"]);
}

} // namespace
} // namespace wander
