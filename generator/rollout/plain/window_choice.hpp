#pragma once
// Which latents a text model sees while it streams without end (self-forcing.md 5.6).
//
// `view` counts everything that attention sees: sink, rolling window and the chunk in the making. Plain data, any
// thread.

#include "generator/plain/result.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace wander {

struct WindowChoice {
    int view_latents = 21;       // 0: everything
    int sink_latents = 0;        // first latents that never leave
    bool slot_positions = false; // time positions: places in the cache, or absolute latents
    bool operator==(const WindowChoice&) const = default;

    // Rolling history for chunks of that many latents; bad choices have none.
    int history_latents(int chunk_latents) const { return view_latents - sink_latents - chunk_latents; }
};

struct WindowPreset {
    std::string_view name;
    std::string_view help;
    WindowChoice choice;
};

// The choices that public programs make, and the one that this program recommends (first).
std::span<const WindowPreset> window_presets();

// A preset's name, or VIEW[+SINK][:slots], for example 42, 21+3, 12+6:slots. wrong_use with what is possible.
Result<WindowChoice> parse_window(const std::string& text);
std::string window_text(const WindowChoice& choice); // as parse_window takes it, a preset's name where there is one

// wrong_use when the choice does not fit chunks of that many latents.
Result<void> check_window(const WindowChoice& choice, int chunk_latents);

} // namespace wander
