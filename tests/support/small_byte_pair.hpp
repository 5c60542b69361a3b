#pragma once
// A byte-pair tokenizer of the Qwen2 kind with few merges.

#include "generator/text/plain/byte_pair_tokenizer.hpp"
#include "generator/text/plain/utf8.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <utility>
#include <vector>

namespace wander::testing {

// Id of a byte is the byte, merge n is 256 + n.
inline BytePairTokenizer::Files small_files(const std::vector<std::pair<std::string, std::string>>& merges) {
    nlohmann::json vocab;
    char32_t next = 0x100;
    for (char32_t byte = 0; byte < 256; ++byte) {
        const bool prints = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
        vocab[encode_utf8(std::u32string(1, prints ? byte : next))] = static_cast<int>(byte);
        if (!prints) ++next;
    }
    BytePairTokenizer::Files files;
    files.merges = "#version: 0.2\n";
    for (std::size_t i = 0; i < merges.size(); ++i) {
        vocab[merges[i].first + merges[i].second] = 256 + static_cast<int>(i);
        files.merges += merges[i].first + " " + merges[i].second + "\n";
    }
    files.vocab = vocab.dump();
    files.config = R"({"tokenizer_class": "Qwen2Tokenizer", "added_tokens_decoder": {
        "9000": {"content": "<|im_start|>", "special": true}, "9001": {"content": "<|im_end|>", "special": true},
        "9002": {"content": "<|im_end|>!", "special": false}}})";
    return files;
}

} // namespace wander::testing
