#pragma once
// Files that appear under their name only when they are complete. Any thread.

#include "generator/plain/result.hpp"

#include <filesystem>
#include <string_view>

namespace wander {

// Writes FILE.part and renames it; the part is removed on failure. io: says what and where.
Result<void> write_file_atomically(const std::filesystem::path& file, std::string_view bytes);

// Whether a file could be created there: tries it with FILE.part, and leaves nothing behind. bad_input: says why not.
Result<void> check_writable(const std::filesystem::path& file);

} // namespace wander
