#pragma once
// The byte-level byte-pair tokenizer of Qwen2 and Qwen2.5, out of the files beside a checkpoint. Needs no weights and
// no torch. Immutable after opening; any thread. hy-worldplay.md 3.1.
//
// Added tokens are taken out of the raw text first, the rest is composed (NFC) and cut into words
// (byte_pair_words.hpp); within a word's UTF-8 bytes the pair that was learnt first is merged, again and again.

#include "generator/plain/result.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace wander {

class BytePairTokenizer {
public:
    struct Files {          // what they hold
        std::string vocab;  // vocab.json: token -> id, bytes written as printable characters
        std::string merges; // merges.txt: a pair a line, first learnt first
        std::string config; // tokenizer_config.json: class and added tokens
    };
    // bad_input naming the file and what it holds that is not understood: ids that are nearly right make pictures that
    // are nearly right. The folder holds the three files.
    static Result<BytePairTokenizer> open(const std::filesystem::path& folder);
    static Result<BytePairTokenizer> parse(const Files& files, const std::string& where);

    // Any bytes; what is no UTF-8 counts as U+FFFD. Nothing is put around the text.
    std::vector<int> encode(std::string_view text) const;
    // The bytes that a token stands for, perhaps a part of a character; empty for an id that there is not.
    std::string bytes_of(int id) const;
    int id_of_added(std::string_view content) const; // -1: there is no such token

    std::size_t size() const { return bytes_.size(); } // added tokens included

private:
    struct Merge {
        std::int32_t rank = 0;
        std::int32_t id = 0;
    };
    struct Added {
        std::string content;
        int id = 0;
    };
    void append_text(std::string_view text, std::vector<int>& ids) const;
    void append_word(std::string_view bytes, std::vector<int>& ids) const;
    const Added* added_at(std::string_view text) const;

    int byte_ids_[256] = {};
    std::unordered_map<std::uint64_t, Merge> merges_; // by the two ids, first << 32 | second
    std::unordered_map<int, std::string> bytes_;
    std::vector<Added> added_; // longest first
};

// The chat that HunyuanVideo 1.5 puts around a prompt, and the part of it that the video model sees: what follows the
// user's heading, its tail included.
struct ChatTokens {
    std::vector<int> ids; // of the whole chat, at most `crop + most`
    std::size_t crop = 0; // first of them that are left out after the text model: 108 with the published system text
    bool truncated = false;
};
// An empty prompt counts as one blank.
ChatTokens chat_tokens(const BytePairTokenizer& tokenizer, std::string_view system, std::string_view prompt,
                       std::size_t most = 1000);

} // namespace wander
