#pragma once
// Ready prompts for text models (assets/prompts/prompts.json). Plain data; any thread.

#include "generator/plain/result.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace wander {

struct NamedPrompt {
    std::string name;
    std::string text;
};

// At least one; the first is what a text model starts with when nobody says anything. bad_input names file and key.
Result<std::vector<NamedPrompt>> read_prompts(const std::filesystem::path& file);

} // namespace wander
