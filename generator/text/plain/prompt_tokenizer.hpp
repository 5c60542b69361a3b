#pragma once
// From what a person typed to token ids: cleaning (prompt_cleaning.hpp), then the tokenizer.json of the text encoder.
// Needs no weights and no torch. Immutable after opening; any thread.

#include "generator/plain/result.hpp"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace wander {

struct PromptToken {
    int id = 0;
    std::string text; // UTF-8 of the text it stands for, spaces as U+2581; "</s>" and the like for special tokens
};

struct TokenizedPrompt {
    std::string cleaned;
    std::vector<PromptToken> tokens; // the end token included; at most max_tokens
    std::size_t all_tokens = 0;      // how many there were before the cut, end token included
    bool truncated() const { return all_tokens > tokens.size(); }
};

class UnigramTokenizer;

class PromptTokenizer {
public:
    // bad_input with the file's path and what it holds that is not understood.
    static Result<PromptTokenizer> open(const std::filesystem::path& tokenizer_json);

    // Any bytes; what is no UTF-8 counts as U+FFFD. An empty prompt is its end token alone.
    TokenizedPrompt tokenize(std::string_view prompt, std::size_t max_tokens = 512) const;

    const UnigramTokenizer& unigram() const { return *unigram_; }

private:
    std::shared_ptr<const UnigramTokenizer> unigram_;
};

} // namespace wander
