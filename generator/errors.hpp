#pragma once
// Exceptions of torch and the standard library become errors with a message for a person. Any thread.

#include "generator/plain/result.hpp"

#include <string_view>

namespace wander {

// Call inside a catch block. `doing` completes "while ...": "loading the model", "making chunk 12".
Error current_exception_as_error(std::string_view doing);

} // namespace wander
