#pragma once
// How far opening a model has come, for a line in the terminal or over the picture. Plain data.

#include <functional>
#include <string>

namespace wander {

struct LoadProgress {
    std::string doing;        // "converting transformer", "reading text encoder"
    double share = -1;        // of that piece of work, 0 to 1; negative: unknown
    double seconds_left = -1; // of it; negative: unknown
};
// Called on the thread that opens the model.
using LoadProgressSink = std::function<void(const LoadProgress&)>;

// "converting transformer, 42 %, 1 min 10 s left"
std::string progress_text(const LoadProgress& progress);

} // namespace wander
