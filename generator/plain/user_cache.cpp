#include "generator/plain/user_cache.hpp"

#include <cstdlib>

namespace wander {

std::filesystem::path user_cache_folder() {
    const char* given = std::getenv("XDG_CACHE_HOME");
    if (given && given[0] == '/') return std::filesystem::path(given) / "wander";
    const char* home = std::getenv("HOME");
    if (home && home[0] == '/') return std::filesystem::path(home) / ".cache/wander";
    return {};
}

} // namespace wander
