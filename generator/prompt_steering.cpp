#include "generator/prompt_steering.hpp"

#include "generator/camera/control_axes.hpp"

#include <utility>

namespace wander {

PromptSteering::PromptSteering(std::shared_ptr<PromptDesk> desk, CameraPhrases phrases, std::string prompt,
                               bool camera_words)
    : desk_(std::move(desk)), phrases_(std::move(phrases)), prompt_(std::move(prompt)), camera_words_(camera_words) {}

Result<std::optional<PromptStates>> PromptSteering::next(const ControlState& controls, bool wait,
                                                         const std::stop_token& stop) {
    const std::string wanted = camera_words_ ? phrases_.steer(prompt_, whole_actions(controls)) : prompt_;
    pending_ = false;
    if (wanted != refused_) refused_.clear();
    if (started_ && (wanted == active_ || (!wait && wanted == refused_))) return std::optional<PromptStates>();
    auto encoded = wait || !started_ ? std::optional(desk_->wait(wanted, stop)) : desk_->look(wanted);
    if (!encoded) {
        pending_ = true;
        return std::optional<PromptStates>();
    }
    if (!*encoded) {
        if (wait || !started_) return encoded->error();
        note_ = encoded->error().message + "; the walk goes on under the old text";
        refused_ = wanted;
        return std::optional<PromptStates>();
    }
    started_ = true;
    active_ = wanted;
    note_ = (*encoded)->note;
    return std::optional<PromptStates>({(*encoded)->embedding, (*encoded)->glyph});
}

} // namespace wander
