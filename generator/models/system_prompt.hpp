#pragma once
// The instruction that HY-WorldPlay 8B's text encoder reads before every prompt. It is in no model folder and not ours
// to ship: it is found by its hash in the person's copy of the model's own code and kept beside the model. Any thread.

#include "generator/plain/result.hpp"

#include <filesystem>
#include <string>
#include <string_view>

namespace wander {

// 477 bytes (hy-worldplay.md 3.1).
inline constexpr std::string_view kSystemPromptSha256 =
    "547f3e99c78b2d9b0786a721b726d41be95ee2f52ebf90db55f381b1511c3905";

// The string literal with this hash in a Python file, or the file itself where it is that text alone. bad_input where
// there is none, and for what cannot be read.
Result<std::string> find_system_prompt(const std::filesystem::path& python_file,
                                       std::string_view sha256 = kSystemPromptSha256);

// In the folder of the model's conversions. Returns the file.
Result<std::filesystem::path> keep_system_prompt(const std::filesystem::path& model, const std::string& text);

// What was kept for the model. bad_input says how to get it where there is none, or where it was changed.
Result<std::string> read_system_prompt(const std::filesystem::path& model,
                                       std::string_view sha256 = kSystemPromptSha256);

} // namespace wander
