#pragma once
// `wander info`: what a model folder is, in words on stdout.

#include <string>

namespace wander {

// `model`: embedded, a folder, or a file in one. The exit code; 2 where it is no model folder.
int run_info(const std::string& model);

} // namespace wander
