#pragma once
// Which text a chunk is made under: the person's prompt, with the camera's words when a text model is steered by keys.
//
// Worker thread only; encoding happens on the desk's thread. While a new text is being encoded the walk goes on under
// the old one.

#include "generator/camera/camera_phrases.hpp"
#include "generator/plain/control_state.hpp"
#include "generator/prompt_desk.hpp"
#include "generator/walk_loop.hpp"

#include <memory>
#include <optional>
#include <stop_token>
#include <string>

namespace wander {

class PromptSteering {
public:
    PromptSteering(std::shared_ptr<PromptDesk> desk, CameraPhrases phrases, std::string prompt, bool camera_words);

    void set_prompt(const std::string& prompt) { prompt_ = prompt; }
    void set_camera_words(bool on) { camera_words_ = on; }
    const std::string& prompt() const { return prompt_; }

    // What to go over to before a chunk with these controls; nothing while the text stays, or while its
    // successor is not ready and `wait` is off. The first chunk always waits. A text that cannot be encoded is an error
    // where it was waited for; else the walk goes on under the old one, and note() says why.
    Result<std::optional<PromptStates>> next(const ControlState& controls, bool wait, const std::stop_token& stop);

    const std::string& active() const { return active_; } // the text that the model is under
    bool pending() const { return pending_; }             // another one was asked for and is not ready
    // What the person should know of the newest text: that it was cut, or why it could not be taken. Empty: nothing.
    const std::string& note() const { return note_; }

private:
    std::shared_ptr<PromptDesk> desk_;
    CameraPhrases phrases_;
    std::string prompt_;
    bool camera_words_;
    std::string active_;
    bool started_ = false;
    bool pending_ = false;
    std::string note_;
    std::string refused_; // a text that could not be encoded: not asked for again until another one was wanted
};

} // namespace wander
