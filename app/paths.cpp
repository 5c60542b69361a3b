#include "app/paths.hpp"

#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>
#include <sstream>
#include <system_error>

namespace wander {

namespace {

namespace fs = std::filesystem;

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

fs::path home_folder() {
    const std::string home = variable("HOME");
    return home.empty() ? fs::current_path() : fs::path(home);
}

fs::path media_folder(const char* key, const char* fallback) {
    const fs::path home = home_folder();
    const std::string config = variable("XDG_CONFIG_HOME");
    std::ifstream in((config.empty() ? home / ".config" : fs::path(config)) / "user-dirs.dirs");
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    const fs::path found = user_dir(text, key, home);
    return (found.empty() ? home / fallback : found) / "Wander";
}

bool is_assets(const fs::path& folder) {
    std::error_code ignored;
    return fs::is_directory(folder / "world", ignored);
}

} // namespace

fs::path assets_folder() {
    if (std::string given = variable("WANDER_ASSETS"); !given.empty()) return given;
    std::error_code error;
    const fs::path program = fs::read_symlink("/proc/self/exe", error);
    fs::path installed = program.parent_path().parent_path() / "share/wander";
    if (!error && is_assets(installed)) return installed;
    fs::path built = fs::path(WANDER_BUILT_FROM) / "assets";
    if (is_assets(built)) return built;
    // A tree that was moved after it was built: build/PRESET/bin/wander.
    return program.parent_path() / "../../../assets";
}

fs::path video_folder(const fs::path& record_dir) {
    return record_dir.empty() ? media_folder("XDG_VIDEOS_DIR", "Videos") : record_dir;
}

fs::path picture_folder(const fs::path& record_dir) {
    return record_dir.empty() ? media_folder("XDG_PICTURES_DIR", "Pictures") : record_dir;
}

fs::path unused_file(const fs::path& folder, const std::string& prefix, const std::string& extension) {
    const std::time_t now = std::time(nullptr);
    std::tm local{};
    localtime_r(&now, &local);
    char stamp[32];
    std::strftime(stamp, sizeof stamp, "%Y-%m-%d %H-%M-%S", &local);
    const std::string stem = prefix + " " + stamp;
    std::error_code ignored;
    const auto taken = [&](const std::string& name) {
        return fs::exists(folder / (name + "." + extension), ignored) ||
               fs::exists(folder / (name + ".mkv.part"), ignored);
    };
    std::string name = stem;
    for (int i = 2; taken(name); ++i) name = stem + " (" + std::to_string(i) + ")";
    return folder / (name + "." + extension);
}

fs::path user_dir(const std::string& text, const std::string& key, const fs::path& home) {
    std::istringstream lines(text);
    std::string line;
    fs::path found;
    while (std::getline(lines, line)) { // the last one wins, as in the shell that this file is written for
        const std::string begin = key + "=\"";
        if (!line.starts_with(begin) || line.size() <= begin.size() || line.back() != '"') continue;
        const std::string value = line.substr(begin.size(), line.size() - begin.size() - 1);
        if (value.starts_with("$HOME/")) {
            found = home / value.substr(6);
        } else if (value.starts_with('/')) {
            found = value;
        }
    }
    return found;
}

} // namespace wander
