#pragma once
// Looks at what a person wants to walk in, before another walk is given up for it. No torch here; any thread.

#include "generator/plain/result.hpp"

#include <filesystem>

namespace wander {

// The folder to open, where `given` is a world's or a model's folder or a file of one. Its files are mapped, names and
// shapes checked, as opening does it; no weights are read. wrong_use: nothing of a world or a model is there;
// otherwise what is missing or damaged.
Result<std::filesystem::path> check_model(const std::filesystem::path& given);

// Decodes a picture as a start would. bad_input: it is none, damaged or too large.
Result<void> check_start_picture(const std::filesystem::path& file);

} // namespace wander
