#include "generator/text/plain/prompt_tokenizer.hpp"

#include "generator/text/plain/prompt_cleaning.hpp"
#include "generator/text/plain/unigram_tokenizer.hpp"

#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <utility>

namespace wander {

Result<PromptTokenizer> PromptTokenizer::open(const std::filesystem::path& tokenizer_json) {
    constexpr std::uintmax_t kMaxBytes = 128 << 20; // umT5's has 17 MB
    std::error_code failed;
    const std::uintmax_t bytes = std::filesystem::file_size(tokenizer_json, failed);
    if (failed) {
        return Error{ErrorCode::bad_input,
                     fmt::format("{}: cannot be read ({})", tokenizer_json.string(), failed.message())};
    }
    if (bytes > kMaxBytes) {
        return Error{ErrorCode::bad_input,
                     fmt::format("{}: {} bytes are too many for a tokenizer.json", tokenizer_json.string(), bytes)};
    }
    std::string text(static_cast<std::size_t>(bytes), '\0');
    std::ifstream file(tokenizer_json, std::ios::binary);
    if (!file.read(text.data(), static_cast<std::streamsize>(text.size()))) {
        return Error{ErrorCode::bad_input, fmt::format("{}: cannot be read", tokenizer_json.string())};
    }
    auto unigram = UnigramTokenizer::parse(text, tokenizer_json.string());
    if (!unigram) return unigram.error();
    PromptTokenizer opened;
    opened.unigram_ = std::move(*unigram);
    return opened;
}

TokenizedPrompt PromptTokenizer::tokenize(std::string_view prompt, std::size_t max_tokens) const {
    return unigram_->encode(clean_prompt(prompt), max_tokens);
}

} // namespace wander
