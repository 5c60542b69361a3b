#pragma once
// Folders that appear under their name only when they are whole. One process at a time.

#include "generator/plain/result.hpp"

#include <filesystem>
#include <functional>

namespace wander::train {

// `fill` writes into FOLDER.part; then FOLDER, if there is one, is replaced by it, and nobody ever sees half of either.
// On failure the part is removed and FOLDER stays. io: says what and where.
Result<void> replace_folder(const std::filesystem::path& folder,
                            const std::function<Result<void>(const std::filesystem::path& part)>& fill);

} // namespace wander::train
