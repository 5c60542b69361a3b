#pragma once
// A walk in a file (docs/formats.md, "Saved walk"): enough to go on from it, under the same model.
//
// A safetensors file; small, since latents are small, unless it holds the decoder's state too. Any thread.

#include "generator/plain/result.hpp"
#include "generator/walk.hpp"
#include "generator/walk_loop.hpp"

#include <cstdint>
#include <filesystem>
#include <string>

namespace wander {

struct SavedWalk {
    std::string model; // its name, for a person and to refuse another one's walk
    std::string prompt;
    std::uint64_t seed = 0;
    ContextSettings context; // no latents: of a file that does not tell, or of another model than HY-WorldPlay
    std::optional<WindowChoice> window; // of a text model
    int chunk_latents = 0;              // of a causal model
    std::string place;                  // of a world: the place's name
    WalkMemory memory;

    SavedSettings settings() const { return {model, context, window, window ? chunk_latents : 0}; }
};

// io where it cannot be written; what was there before stays then.
Result<void> write_saved_walk(const std::filesystem::path& file, const SavedWalk& walk);
// bad_input with file, tensor and what is wrong.
Result<SavedWalk> read_saved_walk(const std::filesystem::path& file);

} // namespace wander
