#pragma once
// `wander convert`: the one-time conversion of a model folder, with progress on stderr.

#include <string>

namespace wander {

// The exit code. What was converted stands on stdout.
int run_convert(const std::string& model);

} // namespace wander
