#pragma once
// How every word of the program (`wander info`, `wander train`, ...) reads its command line and ends.

#include <functional>

namespace CLI {
class App;
}

namespace wander {

// Parses what follows the program's own name, then runs. `app` is named as a person types it ("wander train"). Returns
// the exit code; --help, a wrong command line (one line that names --help) and exceptions are dealt with.
int parse_and_run(CLI::App& app, int argc, const char* const* argv, const std::function<int()>& run);

} // namespace wander
