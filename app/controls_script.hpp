#pragma once
// What a headless walk does in which chunk: a controls file (one JSON object a line) or a HY-WorldPlay pose string.
//
// Plain data, read once before the walk. The format is described in docs/formats.md. No torch here.

#include "generator/plain/control_state.hpp"
#include "generator/plain/result.hpp"
#include "quant/plain/cache_rules.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace wander {

// What changes at one chunk; absent = stays as it is.
struct ControlsEntry {
    std::int64_t chunk = 0;
    std::optional<std::uint16_t> held; // bits as in ControlState
    MouseTravel mouse;                 // of this chunk alone
    std::optional<StickPosition> sticks;
    std::optional<std::string> cache;
    quant::CacheRulesChange cache_rules;
    std::optional<std::string> prompt;
    std::optional<bool> camera_words;
    int rewind = 0;                      // chunks forgotten before this one is made
    std::optional<double> pause_seconds; // before the chunk
    std::optional<bool> record;
    int line = 0; // of the controls file; 0: none
};

class ControlsScript {
public:
    ControlsScript() = default;

    // `argument` of --controls: the name of a file that exists, else a pose string; empty: nothing is ever held.
    // bad_input / wrong_use name file, line and what to do.
    static Result<ControlsScript> load(const std::string& argument);
    static Result<ControlsScript> from_json_lines(const std::string& text, const std::string& name);
    static Result<ControlsScript> from_pose_string(const std::string& text);

    // Everything that holds for a chunk: `held` and `sticks` of the last change up to it, the other keys of this very
    // chunk. Of a pose string the step of the chunk's first latent counts; after its end nothing is held.
    ControlsEntry at(std::int64_t chunk, int latents_per_chunk) const;

    // Chunks until nothing changes any more: past the last entry's chunk, or past the last step.
    std::int64_t chunks(int latents_per_chunk) const;

    // "FILE, line 3: " or "--controls: ", for messages about an entry.
    std::string where(const ControlsEntry& entry) const;
    const std::vector<ControlsEntry>& entries() const { return entries_; }

private:
    std::string name_ = "--controls";
    std::vector<ControlsEntry> entries_; // ascending chunks, each once
    std::vector<std::uint16_t> steps_;   // pose string: held bits, one a latent
};

} // namespace wander
