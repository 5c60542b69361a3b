#pragma once
// The exit codes that other tools rely on: 0 done, 2 wrong use or bad input, 1 anything else.

#include "generator/plain/result.hpp"

#include <cstdio>

namespace wander {

inline constexpr int kExitDone = 0;

inline int exit_code(ErrorCode code) { return code == ErrorCode::wrong_use || code == ErrorCode::bad_input ? 2 : 1; }

// Prints the one line that says what went wrong, and returns the exit code.
inline int fail_with(const Error& error) {
    std::fprintf(stderr, "wander: %s\n", error.message.c_str());
    return exit_code(error.code);
}

} // namespace wander
