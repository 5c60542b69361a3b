#pragma once
// Folders of this user and of this program. Nothing is created here. Any thread.

#include <filesystem>
#include <string>

namespace wander {

// $WANDER_ASSETS; share/wander beside the program's bin folder; the source tree the program was built from.
std::filesystem::path assets_folder();

// The user's video and picture folders (XDG_VIDEOS_DIR and XDG_PICTURES_DIR of user-dirs.dirs, else ~/Videos and
// ~/Pictures), with Wander below; `record_dir` itself when it is not empty.
std::filesystem::path video_folder(const std::filesystem::path& record_dir);
std::filesystem::path picture_folder(const std::filesystem::path& record_dir);

// FOLDER/PREFIX YYYY-MM-DD HH-MM-SS.EXTENSION in local time, extension without its dot; " (2)", " (3)" ... are added
// while that file, or a part of it, exists.
std::filesystem::path unused_file(const std::filesystem::path& folder, const std::string& prefix,
                                  const std::string& extension);

// One value of user-dirs.dirs text: `key`="$HOME/..." or an absolute path; empty when it is absent, relative or
// damaged.
std::filesystem::path user_dir(const std::string& text, const std::string& key, const std::filesystem::path& home);

} // namespace wander
