#pragma once
// The window: panels, picture and keys around a LiveWalk. The headless twin is app/headless.hpp.

#include "generator/walk.hpp"

#include <filesystem>

namespace wander {

struct WindowRun {
    WalkOptions walk;
    bool format_given = false;         // --cache on the command line beats the remembered format
    bool correction_given = false;     // and --bias-correction the remembered choice
    std::filesystem::path fonts;       // folder of the fonts
    std::filesystem::path record_dir;  // empty: the user's video and picture folders
    std::filesystem::path session_out; // empty: no session file
};

// Runs until the window is closed. Returns the exit code; messages have gone to stderr.
int run_window(const WindowRun& run);

} // namespace wander
