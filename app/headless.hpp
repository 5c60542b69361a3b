#pragma once
// The headless twin: the same walk as in the window, controls from a script, frames into files, figures into JSON.

#include "app/options.hpp"
#include "generator/walk.hpp"

namespace wander {

// Runs the whole walk. Returns the exit code; messages have gone to stderr. Interrupting (Ctrl+C, SIGTERM) ends the
// walk after the current chunk: what there is by then is written, and the exit code is 1.
int run_headless(const Options& options);

// The options of the model, as both twins open it.
WalkOptions walk_options(const Options& options);

} // namespace wander
