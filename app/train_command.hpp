#pragma once
// `wander train ...`: trains a world, with progress on stderr. docs/training.md.

namespace wander {

// Returns the exit code; messages have gone to stdout and stderr.
int run_train_command(int argc, const char* const* argv);

} // namespace wander
