#pragma once
// `wander world ...`: draws pictures and true walks of the procedural worlds, and lists their themes. docs/themes.md.

#include "generator/plain/result.hpp"

#include <string_view>

namespace wander {

inline bool is_world_command(int argc, const char* const* argv) {
    return argc > 1 && std::string_view(argv[1]) == "world";
}

// Returns the exit code; messages have gone to stdout and stderr.
int run_world_command(int argc, const char* const* argv);

} // namespace wander
