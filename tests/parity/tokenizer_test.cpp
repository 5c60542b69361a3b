// Prompt cleaning and the unigram tokenizer against ids of the public implementations (goldens tok-unigram).
//
// The ids with the published vocabulary (tok-umt5) are compared where WANDER_UMT5_TOKENIZER names the tokenizer.json
// that lies beside a Wan2.1 checkpoint; the file is not part of this repository.

#include "generator/text/plain/prompt_tokenizer.hpp"
#include "generator/text/plain/unigram_tokenizer.hpp"
#include "tests/support/golden.hpp"

#include <cstdlib>
#include <fstream>
#include <optional>

namespace wander::testing {
namespace {

struct Sample {
    std::string typed;
    std::string cleaned;
};

std::vector<Sample> samples(const std::filesystem::path& file) {
    nlohmann::json list;
    std::ifstream(file) >> list;
    std::vector<Sample> result;
    for (const auto& entry : list) {
        const std::string typed = entry.at("s");
        result.push_back({typed, entry.value("c", typed)});
    }
    return result;
}

std::vector<int> ids_of(const TokenizedPrompt& prompt) {
    std::vector<int> ids;
    for (const PromptToken& token : prompt.tokens) ids.push_back(token.id);
    return ids;
}

// Rows of ids that stand one after another.
class Rows {
public:
    Rows(const GoldenCase& golden, const std::string& name)
        : ids_(golden.output(name + ".ids").to(at::kInt)), offsets_(golden.output(name + ".offsets").to(at::kInt)) {}
    std::vector<int> row(std::size_t index) const {
        const int* ids = ids_.const_data_ptr<int>();
        const int* offsets = offsets_.const_data_ptr<int>();
        return {ids + offsets[index], ids + offsets[index + 1]};
    }

private:
    at::Tensor ids_, offsets_;
};

constexpr std::size_t kNoLimit = 100000;

void compare(const GoldenCase& golden, const PromptTokenizer& tokenizer, const std::vector<Sample>& strings) {
    const Rows raw(golden, "raw"), clean(golden, "clean");
    std::size_t from_raw = 0, from_clean = 0, by_us = 0;
    for (std::size_t i = 0; i < strings.size(); ++i) {
        from_raw += ids_of(tokenizer.unigram().encode(strings[i].typed, kNoLimit)) == raw.row(i);
        from_clean += ids_of(tokenizer.unigram().encode(strings[i].cleaned, kNoLimit)) == clean.row(i);
        by_us += ids_of(tokenizer.tokenize(strings[i].typed, kNoLimit)) == clean.row(i);
    }
    EXPECT_EQ(from_raw, strings.size());
    EXPECT_EQ(from_clean, strings.size());
    // The rest is text that was decoded wrongly twice, which we do not guess at (prompt_cleaning.hpp).
    EXPECT_GE(by_us * 1000, strings.size() * 979);
}

std::vector<std::filesystem::path> cases_with_tokenizer() {
    std::vector<std::filesystem::path> folders;
    for (const auto& folder : golden_folders("tok-unigram")) {
        if (std::filesystem::exists(folder / "tokenizer.json")) folders.push_back(folder);
    }
    return folders;
}

TEST(ParityTokenizer, IdsOfAllStrings) {
    ASSERT_FALSE(cases_with_tokenizer().empty());
    for (const auto& folder : cases_with_tokenizer()) {
        const GoldenCase golden(folder);
        const auto tokenizer = unwrap(PromptTokenizer::open(folder / "tokenizer.json"));
        EXPECT_EQ(tokenizer.unigram().size(), golden.config().at("vocab").get<int>());
        EXPECT_EQ(tokenizer.unigram().unknown_id(), golden.config().at("unk_id").get<int>());
        compare(golden, tokenizer, samples(folder / "strings.json"));
    }
    const char* published = std::getenv("WANDER_UMT5_TOKENIZER");
    if (!published || !*published) return;
    const auto tokenizer = unwrap(PromptTokenizer::open(published));
    for (const auto& folder : golden_folders("tok-umt5")) {
        const GoldenCase golden(folder);
        compare(golden, tokenizer, samples(folder / golden.config().at("strings").get<std::string>()));
    }
}

TEST(ParityTokenizer, CleanedText) {
    for (const auto& folder : cases_with_tokenizer()) {
        const auto strings = samples(folder / "strings.json");
        const auto tokenizer = unwrap(PromptTokenizer::open(folder / "tokenizer.json"));
        std::size_t same = 0;
        for (const Sample& sample : strings) {
            same += tokenizer.tokenize(sample.typed).cleaned == sample.cleaned;
            EXPECT_EQ(tokenizer.tokenize(sample.cleaned).cleaned.empty(), sample.cleaned.empty());
        }
        EXPECT_GE(same * 1000, strings.size() * 979);
    }
}

TEST(ParityTokenizer, CutRowsKeepTheEndToken) {
    for (const auto& folder : cases_with_tokenizer()) {
        const GoldenCase golden(folder);
        const auto tokenizer = unwrap(PromptTokenizer::open(folder / "tokenizer.json"));
        const auto strings = samples(folder / "strings.json");
        const auto rows = golden.config().at("padded_rows").get<std::vector<std::size_t>>();
        const std::size_t length = golden.config().at("max_length");
        const at::Tensor ids = golden.output("padded.ids").to(at::kInt),
                         mask = golden.output("padded.mask").to(at::kInt);
        for (std::size_t row = 0; row < rows.size(); ++row) {
            const auto got = ids_of(tokenizer.unigram().encode(strings.at(rows[row]).cleaned, length));
            const auto at = static_cast<std::int64_t>(row);
            const auto real = static_cast<std::size_t>(mask[at].sum().item<std::int64_t>());
            const int* expected = ids[at].const_data_ptr<int>();
            EXPECT_EQ(got, std::vector<int>(expected, expected + real)) << "row " << rows[row];
        }
    }
}

} // namespace
} // namespace wander::testing
