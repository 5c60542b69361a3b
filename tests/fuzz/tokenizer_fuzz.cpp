// Feeds arbitrary bytes to the cleaning of prompts, and to the reader of tokenizer.json. Of the input, what stands
// before the first zero byte is a prompt, what stands behind it a tokenizer; without a zero byte it is a prompt for a
// fixed one.

#include "generator/text/plain/prompt_cleaning.hpp"
#include "generator/text/plain/unigram_tokenizer.hpp"
#include "generator/text/plain/utf8.hpp"
#include "tests/support/small_tokenizer.hpp"

#include <cstdlib>

namespace {

void demand(bool holds) {
    if (!holds) std::abort();
}

void check(const wander::UnigramTokenizer& tokenizer, std::string_view text) {
    const auto prompt = tokenizer.encode(text, 16);
    const auto longer = tokenizer.encode(text, 1 << 20);
    demand(longer.tokens.size() == longer.all_tokens && prompt.all_tokens == longer.all_tokens);
    demand(prompt.truncated() == (longer.tokens.size() > prompt.tokens.size()));
    for (const auto& token : longer.tokens) demand(token.id >= 0);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const auto kSmall =
        *wander::UnigramTokenizer::parse(wander::testing::small_tokenizer().dump(), "small tokenizer");
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const std::string_view prompt = input.substr(0, input.find('\0'));
    const std::string clean = wander::clean_prompt(prompt);
    demand(wander::encode_utf8(wander::decode_utf8(clean)) == clean); // valid UTF-8
    demand(clean.empty() || (clean.front() != ' ' && clean.back() != ' '));
    demand(clean.find("  ") == std::string::npos);
    check(*kSmall, clean);
    if (prompt.size() == input.size()) return 0;
    const auto tokenizer = wander::UnigramTokenizer::parse(input.substr(prompt.size() + 1), "fuzz");
    if (!tokenizer) {
        demand(tokenizer.error().message.starts_with("fuzz: "));
        return 0;
    }
    check(**tokenizer, clean);
    check(**tokenizer, prompt);
    return 0;
}
