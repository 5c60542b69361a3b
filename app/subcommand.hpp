#pragma once
// Words in place of options: `wander info DIR`, `wander convert DIR`, `wander world ...`, `wander train ...`. No
// window, no walk.

#include <optional>

namespace wander {

// The exit code, or nothing where the command line has no such word.
std::optional<int> run_subcommand(int argc, const char* const* argv);

} // namespace wander
