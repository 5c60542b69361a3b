#pragma once
// The instruction of HY-WorldPlay 8B's text encoder, kept beside the model: it is in no model folder and not ours to
// ship, so it is taken once out of the person's copy of the model's own code (text/plain/system_prompt.hpp). Any
// thread.

#include "generator/text/plain/system_prompt.hpp"

namespace wander {

// Into the folder of the model's conversions. Returns the file.
Result<std::filesystem::path> keep_system_prompt(const std::filesystem::path& model, const std::string& text);

// Its file, and what was kept for the model. unavailable: nothing was, and how to get it; bad_input: it was changed
// since.
Result<std::filesystem::path> kept_system_prompt_file(const std::filesystem::path& model);
Result<std::string> kept_system_prompt(const std::filesystem::path& model, const SystemPromptMark& mark = {});

} // namespace wander
