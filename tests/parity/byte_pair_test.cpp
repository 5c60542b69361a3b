// The byte-pair tokenizer against ids of the public implementation: 1,000 strings, their words, chats and their crop.
//
// The folder of goldens has a part of the vocabulary that is enough for its strings. WANDER_QWEN2_TOKENIZER may name a
// folder beside a checkpoint (vocab.json, merges.txt, tokenizer_config.json): then the whole one is tried as well.

#include "generator/text/plain/byte_pair_tokenizer.hpp"
#include "generator/text/plain/byte_pair_words.hpp"
#include "generator/text/plain/unicode.hpp"
#include "generator/text/plain/utf8.hpp"
#include "tests/support/golden.hpp"

#include <cstdlib>
#include <fstream>

namespace wander::testing {
namespace {

// Rows of numbers that stand one after another.
class Rows {
public:
    Rows(const GoldenCase& golden, const std::string& values, const std::string& offsets)
        : values_(golden.output(values).to(at::kInt)), offsets_(golden.output(offsets).to(at::kInt)) {}
    std::vector<int> row(std::size_t index) const {
        const int* values = values_.const_data_ptr<int>();
        const int* offsets = offsets_.const_data_ptr<int>();
        return {values + offsets[index], values + offsets[index + 1]};
    }
    std::size_t size() const { return static_cast<std::size_t>(offsets_.numel() - 1); }

private:
    at::Tensor values_, offsets_;
};

std::vector<std::string> strings_of(const std::filesystem::path& folder) {
    nlohmann::json list;
    std::ifstream(folder / "strings.json") >> list;
    return list.get<std::vector<std::string>>();
}

std::vector<std::filesystem::path> vocabularies(const std::filesystem::path& folder, const GoldenCase& golden) {
    const std::filesystem::path beside = folder / std::string(golden.config().at("data"));
    std::vector<std::filesystem::path> all;
    if (std::filesystem::exists(beside / "vocab.json")) all.push_back(beside);
    const char* checkpoint = std::getenv("WANDER_QWEN2_TOKENIZER");
    if (checkpoint && *checkpoint) all.emplace_back(checkpoint);
    EXPECT_FALSE(all.empty()) << "no vocab.json in " << beside;
    return all;
}

TEST(ParityBytePair, WordsOfEveryString) {
    for (const auto& folder : golden_folders("tok-bpe")) {
        const GoldenCase golden(folder);
        const auto strings = strings_of(folder);
        const Rows bytes(golden, "split.bytes", "split.offsets");
        ASSERT_EQ(bytes.size(), strings.size());
        for (std::size_t i = 0; i < strings.size(); ++i) {
            const std::u32string text = normalize_nfc(decode_utf8(strings[i]));
            std::vector<int> lengths;
            for (const auto word : byte_pair_words(text)) lengths.push_back(static_cast<int>(encode_utf8(word).size()));
            EXPECT_EQ(lengths, bytes.row(i)) << strings[i];
        }
    }
}

TEST(ParityBytePair, IdsOfEveryString) {
    for (const auto& folder : golden_folders("tok-bpe")) {
        const GoldenCase golden(folder);
        const auto strings = strings_of(folder);
        const Rows ids(golden, "plain.ids", "plain.offsets");
        ASSERT_EQ(ids.size(), strings.size());
        for (const auto& vocabulary : vocabularies(folder, golden)) {
            const auto tokenizer = unwrap(BytePairTokenizer::open(vocabulary));
            for (std::size_t i = 0; i < strings.size(); ++i) {
                const auto got = tokenizer.encode(strings[i]);
                EXPECT_EQ(got, ids.row(i)) << strings[i];
                std::string back;
                for (const int id : got) back += tokenizer.bytes_of(id);
                EXPECT_EQ(normalize_nfc(decode_utf8(back)), normalize_nfc(decode_utf8(strings[i])));
            }
        }
    }
}

TEST(ParityBytePair, ChatsAndTheirCrop) {
    for (const auto& folder : golden_folders("tok-bpe")) {
        const GoldenCase golden(folder);
        const auto strings = strings_of(folder);
        const Rows own(golden, "chat_own.ids", "chat_own.offsets"), kept(golden, "chat_kept.ids", "chat_kept.offsets");
        const std::string system = golden.config().at("own_system");
        const auto rows = golden.config().at("rows").get<std::vector<std::size_t>>();
        const at::Tensor counts = golden.output("chat.counts");
        const int published_crop = golden.config().at("crop");
        for (const auto& vocabulary : vocabularies(folder, golden)) {
            const auto tokenizer = unwrap(BytePairTokenizer::open(vocabulary));
            for (std::size_t i = 0; i < rows.size(); ++i) {
                const ChatTokens chat = chat_tokens(tokenizer, system, strings[rows[i]], 100'000);
                EXPECT_EQ(chat.ids, own.row(i)) << strings[rows[i]];
                EXPECT_FALSE(chat.truncated);
                // What is kept does not depend on the system text.
                const std::vector<int> rest(chat.ids.begin() + static_cast<std::ptrdiff_t>(chat.crop), chat.ids.end());
                EXPECT_EQ(rest, kept.row(i)) << strings[rows[i]];
                EXPECT_EQ(published_crop + std::ssize(rest), counts[static_cast<std::int64_t>(i)].item<int>());
            }
            const ChatTokens cut = chat_tokens(tokenizer, system, strings[rows.back()], 7);
            EXPECT_TRUE(cut.truncated);
            EXPECT_EQ(cut.ids.size(), cut.crop + 7);
        }
    }
}

} // namespace
} // namespace wander::testing
