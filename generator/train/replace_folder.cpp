#include "generator/train/replace_folder.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <stdio.h>

namespace wander::train {

namespace fs = std::filesystem;

Result<void> replace_folder(const fs::path& folder, const std::function<Result<void>(const fs::path& part)>& fill) {
    const fs::path part = folder.string() + ".part";
    std::error_code failed;
    fs::remove_all(part, failed); // of a run that was ended
    fs::create_directories(part, failed);
    if (failed) return Error{ErrorCode::io, fmt::format("{}: cannot be made: {}", part.string(), failed.message())};
    if (auto filled = fill(part); !filled) {
        fs::remove_all(part, failed);
        return filled;
    }
    // Both names change places in one go where the file system can do that; else the old one is gone for a moment.
    if (::renameat2(AT_FDCWD, part.c_str(), AT_FDCWD, folder.c_str(), RENAME_EXCHANGE) == 0) {
        fs::remove_all(part, failed);
        return {};
    }
    if (errno != ENOENT) fs::remove_all(folder, failed);
    fs::rename(part, folder, failed);
    if (failed)
        return Error{ErrorCode::io, fmt::format("{}: cannot be replaced: {}", folder.string(), failed.message())};
    return {};
}

} // namespace wander::train
