#include "tests/support/synthetic_tokenizer.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <cstdint>
#include <unordered_set>
#include <utility>
#include <vector>

namespace wander::test {
namespace {

using json = nlohmann::ordered_json;

constexpr const char* kSpace = "\xe2\x96\x81"; // U+2581, which stands for a space
constexpr int kLongest = 16;                   // characters of a piece

std::string utf8(std::uint32_t code) {
    std::string text;
    if (code < 0x80) {
        text += static_cast<char>(code);
    } else if (code < 0x800) {
        text += static_cast<char>(0xc0 | (code >> 6));
        text += static_cast<char>(0x80 | (code & 0x3f));
    } else {
        text += static_cast<char>(0xe0 | (code >> 12));
        text += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
        text += static_cast<char>(0x80 | (code & 0x3f));
    }
    return text;
}

class Pieces {
public:
    explicit Pieces(std::size_t count) : count_(count) {}

    // Score 0: special pieces, tags and bytes.
    void add_plain(const std::string& piece) { add(piece, 0); }
    // A log-probability that falls with the rank, about as a real vocabulary's does.
    void add_ranked(const std::string& piece) {
        if (vocab_.size() < count_) add(piece, -2 - 1.1 * std::log(1.0 + rank_++));
    }
    bool full() const { return vocab_.size() >= count_; }
    const json& vocab() const { return vocab_; }
    std::size_t size() const { return vocab_.size(); }

private:
    void add(const std::string& piece, double score) {
        if (seen_.insert(piece).second) vocab_.push_back({piece, score});
    }

    const std::size_t count_;
    json vocab_ = json::array();
    std::unordered_set<std::string> seen_;
    double rank_ = 0;
};

void add_characters(Pieces& pieces, std::uint32_t first, std::uint32_t last) {
    for (std::uint32_t code = first; code <= last; ++code) pieces.add_ranked(utf8(code));
}

// Words of common English first, so that a prompt is cut as one would expect, then made-up words out of syllables.
void add_words(Pieces& pieces) {
    static constexpr const char* kEndings[] = {"s", "ed", "ing", "er", "ly", "tion", "al", "ness", "ment", "en"};
    static constexpr const char* kWords[] = {
        "the",    "a",     "of",    "and",   "in",     "with",   "on",    "at",       "through", "over",    "walk",
        "path",   "snow",  "light", "night", "day",    "forest", "tree",  "mountain", "river",   "sea",     "city",
        "street", "house", "sky",   "cloud", "camera", "move",   "turn",  "left",     "right",   "forward", "slow",
        "warm",   "cold",  "green", "blue",  "red",    "old",    "stone", "wind",     "rain",    "sun",     "moon"};
    for (const char* word : kWords) {
        pieces.add_ranked(std::string(kSpace) + word);
        pieces.add_ranked(word);
        for (const char* ending : kEndings) pieces.add_ranked(std::string(kSpace) + word + ending);
    }
    for (const char* ending : kEndings) pieces.add_ranked(ending);
    static constexpr const char* kConsonants[] = {"b", "d", "f", "g", "k", "l",  "m",  "n",  "p",
                                                  "r", "s", "t", "v", "z", "st", "tr", "ch", "sh"};
    static constexpr const char* kVowels[] = {"a", "e", "i", "o", "u", "ai", "ou"};
    std::vector<std::string> syllables;
    for (const char* consonant : kConsonants) {
        for (const char* vowel : kVowels) syllables.push_back(std::string(consonant) + vowel);
    }
    for (const auto& first : syllables) {
        pieces.add_ranked(first);
        pieces.add_ranked(kSpace + first);
    }
    for (const auto& first : syllables) {
        for (const auto& second : syllables) {
            pieces.add_ranked(first + second);
            pieces.add_ranked(kSpace + first + second);
        }
    }
    for (std::size_t i = 0; !pieces.full(); ++i) {
        const std::size_t n = syllables.size();
        std::string word = syllables[i % n] + syllables[i / n % n] + syllables[i / n / n % n];
        if (word.size() < kLongest) pieces.add_ranked(i % 2 == 0 ? kSpace + word : word);
    }
}

json added_token(std::size_t id, const std::string& content) {
    return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
            {"rstrip", false}, {"normalized", false}, {"special", true}};
}

} // namespace

std::string synthetic_tokenizer(int pieces, int extra_ids) {
    const auto ordinary = static_cast<std::size_t>(pieces - extra_ids);
    Pieces table(ordinary);
    json added = json::array();
    for (const char* special : {"<pad>", "</s>", "<s>", "<unk>"}) {
        added.push_back(added_token(table.size(), special));
        table.add_plain(special);
    }
    // Thirteen tags, then the bytes at 17 to 272; they match literal text.
    for (int tag = 0; tag < 13; ++tag) table.add_plain(fmt::format("[tag{}]", tag));
    for (int byte = 0; byte < 256; ++byte) table.add_plain(fmt::format("<0x{:02X}>", byte));
    table.add_ranked(kSpace);
    add_characters(table, 0x21, 0x7e);
    if (pieces > 100'000) {
        add_characters(table, 0xa1, 0x24f);    // Latin
        add_characters(table, 0x391, 0x3c9);   // Greek
        add_characters(table, 0x400, 0x45f);   // Cyrillic
        add_characters(table, 0x3041, 0x30fe); // Japanese
        add_characters(table, 0x4e00, 0x9fa5); // Chinese
        add_characters(table, 0xac00, 0xd7a3); // Korean
    }
    add_words(table);
    for (int i = extra_ids; i-- > 0;) {
        const std::string name = fmt::format("<extra_id_{}>", i);
        added.push_back(added_token(table.size(), name));
        table.add_plain(name);
    }
    const auto part = [](const char* kind, const char* id) -> json { return {{kind, {{"id", id}, {"type_id", 0}}}}; };
    const json one = {part("Sequence", "A"), part("SpecialToken", "</s>")};
    const json two = {part("Sequence", "A"), part("SpecialToken", "</s>"), part("Sequence", "B"),
                      part("SpecialToken", "</s>")};
    const json metaspace = {{"type", "Metaspace"}, {"replacement", kSpace}, {"add_prefix_space", true}};
    const json file = {
        {"version", "1.0"},
        {"truncation", nullptr},
        {"padding", nullptr},
        {"added_tokens", added},
        {"normalizer",
         {{"type", "Sequence"},
          {"normalizers", json::array({{{"type", "Replace"}, {"pattern", {{"Regex", " {2,}"}}}, {"content", " "}}})}}},
        {"pre_tokenizer", metaspace},
        {"post_processor",
         {{"type", "TemplateProcessing"},
          {"single", one},
          {"pair", two},
          {"special_tokens",
           {{"</s>", {{"id", "</s>"}, {"ids", json::array({1})}, {"tokens", json::array({"</s>"})}}}}}}},
        {"decoder", metaspace},
        {"model", {{"type", "Unigram"}, {"unk_id", 3}, {"vocab", table.vocab()}, {"byte_fallback", false}}}};
    return file.dump();
}

} // namespace wander::test
