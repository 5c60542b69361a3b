#pragma once
// One run of a walk, from its start to the last chunk: the generator worker's loop. Runs on the thread that calls.

#include "generator/walk_model.hpp"

#include <stop_token>

namespace wander {

// By name, or a picture with a pose; an empty name is the model's first. wrong_use with the names that there are.
Result<WalkStart> choose_start(const WalkModel& model, const std::string& name,
                               const std::optional<std::pair<std::string, Pose>>& pose);

// Goes on from a saved walk: its start; the model takes over its seed and prompt. wrong_use or bad_input, and nothing
// is changed, where it is another model's or damaged.
Result<WalkStart> resume_walk(WalkModel& model, const std::filesystem::path& file);
// KeptWalk::place of what begins there.
std::string place_of(const WalkModel& model, const WalkStart& start);
// The walk as it is, for a later run to go on from. wrong_use where there is none, or it cannot be kept.
Result<void> save_walk(const WalkModel& model, const std::filesystem::path& file);

// May throw what torch throws; the caller turns it into an error.
Result<void> walk_run(WalkModel& model, const WalkStart& start, const ControlSource& source, FrameSink& sink,
                      const Walk::Report& report, const std::stop_token& stop);

} // namespace wander
