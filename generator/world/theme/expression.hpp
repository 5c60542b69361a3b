#pragma once
// Small sums in theme files: "h + 0.45 * r". Numbers, names, + - * /, brackets, min(a, b), max(a, b). No torch.

#include "generator/plain/result.hpp"

#include <map>
#include <string>

namespace wander {

// wrong_use with what is wrong in the text, without naming the file: the caller knows it.
Result<double> evaluate(const std::string& text, const std::map<std::string, double>& names);

} // namespace wander
