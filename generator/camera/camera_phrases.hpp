#pragma once
// Held keys as words: how a model that knows only text is steered.
//
// The phrases are data (assets/prompts/camera_phrases.json, or a person's own file of that form): one for each action,
// and one for standing still. The prompt comes first, then the phrases of the actions held, in the order of the
// actions. Opposite actions held together cancel out. Immutable; any thread. No torch.

#include "generator/plain/control_state.hpp"
#include "generator/plain/result.hpp"

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>

namespace wander {

class CameraPhrases {
public:
    // bad_input with file and key for anything missing, foreign or too long.
    static Result<CameraPhrases> read(const std::filesystem::path& file);

    // "the camera moves steadily forward, the camera pans to the left"; what standing still says when nothing is held.
    std::string words(std::uint16_t held) const;
    // The prompt with those words as a sentence behind it; the prompt alone when there are none.
    std::string steer(const std::string& prompt, std::uint16_t held) const;

private:
    std::array<std::string, kActionCount> phrases_;
    std::string none_;
    std::string between_ = ", ";
    std::string join_ = " ";
};

} // namespace wander
