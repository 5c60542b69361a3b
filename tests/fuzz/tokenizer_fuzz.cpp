// Feeds arbitrary bytes to the cleaning of prompts, to the search for quoted texts and for the model's instruction, and
// to the reader of tokenizer.json. Of the input, what stands before the first zero byte is a prompt, what stands behind
// it a tokenizer; without a zero byte it is a prompt for a fixed one.

#include "generator/text/plain/glyph_text.hpp"
#include "generator/text/plain/prompt_cleaning.hpp"
#include "generator/text/plain/system_prompt.hpp"
#include "generator/text/plain/unigram_tokenizer.hpp"
#include "generator/text/plain/utf8.hpp"
#include "tests/support/small_tokenizer.hpp"

#include <algorithm>
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

void check_quoted(std::string_view prompt) {
    const auto texts = wander::quoted_texts(prompt);
    for (const auto& text : texts) {
        demand(text.find('\n') == std::string::npos);
        demand(std::count(texts.begin(), texts.end(), text) == 1);
    }
    const std::string line = wander::glyph_line(texts);
    const auto whole = wander::byt5_tokens(line, line.size() + 1), cut = wander::byt5_tokens(line, 8);
    demand(!whole.truncated && whole.ids.back() == 1 && cut.ids.back() == 1);
    demand(cut.truncated == (whole.ids.size() > 8) && cut.ids.size() == std::min<std::size_t>(whole.ids.size(), 8));
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
    check_quoted(input);
    demand(!wander::find_system_prompt(input)); // nobody guesses a SHA-256
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
