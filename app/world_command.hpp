#pragma once
// `wander world ...`: draws pictures and true walks of the procedural worlds, and lists their themes. docs/themes.md.

namespace wander {

// Returns the exit code; messages have gone to stdout and stderr.
int run_world_command(int argc, const char* const* argv);

} // namespace wander
