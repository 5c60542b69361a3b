#pragma once
// The texts of the string literals in Python source. Pure, any thread.

#include <string>
#include <string_view>
#include <vector>

namespace wander {

// Every literal, and every run of literals that stand beside each other and are one text to Python; in UTF-8, escapes
// resolved. Left out: those with f or b in front, and named characters (\N{...}). Comments hold no literals. What is
// no Python gives some list or other, never an error.
std::vector<std::string> python_literals(std::string_view source);

} // namespace wander
