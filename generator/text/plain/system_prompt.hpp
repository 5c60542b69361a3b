#pragma once
// The instruction that HunyuanVideo 1.5 puts in front of every prompt (hy-worldplay.md 3.1). It belongs to the model
// and is not part of this program: it is found in the user's own copy of the model's code, by its SHA-256, and kept in
// a file beside the model. No torch. Pure but for reading files; any thread.

#include "generator/plain/result.hpp"
#include "generator/text/plain/byte_pair_tokenizer.hpp"

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace wander {

// How the text is recognised.
struct SystemPromptMark {
    std::string sha256 = "547f3e99c78b2d9b0786a721b726d41be95ee2f52ebf90db55f381b1511c3905";
    std::size_t bytes = 477;
    std::size_t crop = 108; // tokens of the chat up to the prompt, with Qwen2.5's vocabulary
};

bool is_system_prompt(std::string_view text, const SystemPromptMark& mark = {});

// Among the string literals of Python source, adjacent ones also joined; nothing where it is not there.
std::optional<std::string> find_system_prompt(std::string_view python, const SystemPromptMark& mark = {});

// From a Python file of the model's code, or from the text file that was made of it. bad_input says what was looked for
// and where it is to be found.
Result<std::string> read_system_prompt(const std::filesystem::path& path, const SystemPromptMark& mark = {});

// The chat of a prompt, with the instruction that was given. unavailable: none was given, and how to get it. bad_input:
// the instruction or the tokenizer is another one, since what is cropped then would be the wrong part.
Result<ChatTokens> hunyuan_chat(const BytePairTokenizer& tokenizer, std::string_view system, std::string_view prompt,
                                std::size_t most = 1000, const SystemPromptMark& mark = {});

} // namespace wander
