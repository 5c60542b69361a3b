#pragma once
// Where this program keeps what it can make again: $XDG_CACHE_HOME/wander, else ~/.cache/wander. Any thread.

#include <filesystem>

namespace wander {

// Empty where the environment names no absolute place (a relative one is to be ignored, say the desktops' rules): then
// nothing is kept. Not created here.
std::filesystem::path user_cache_folder();

} // namespace wander
