#pragma once
// `wander evaluate`: measures a world against the truth that its themes draw.

namespace wander {

// argv[1] is "evaluate". Returns the exit code.
int run_evaluate_command(int argc, const char* const* argv);

} // namespace wander
