#pragma once
// `wander convert`: the one-time conversion of a model folder, with progress on stderr; and what of HY-WorldPlay 8B
// comes out of its own code.

#include <string>

namespace wander {

// The exit code. What was converted stands on stdout. system_prompt_from: a Python file, or empty.
int run_convert(const std::string& model, const std::string& system_prompt_from);

} // namespace wander
