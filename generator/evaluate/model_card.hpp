#pragma once
// A world's model card: what an evaluation found, written into README.md and world.json of its folder. Any thread.

#include "generator/evaluate/plain/evaluation_report.hpp"
#include "generator/plain/result.hpp"

#include <filesystem>
#include <string>

namespace wander::evaluate {

// The card's text with the figures in place of those that stood between the two markers, or at its end. An empty text
// becomes a card of its own.
std::string card_with_figures(const std::string& card, const EvaluationReport& report);

// README.md as above, and "figures" of world.json, where other keys stay. Both are replaced as a whole. io or bad_input
// with the file.
Result<void> update_model_card(const std::filesystem::path& folder, const EvaluationReport& report);

} // namespace wander::evaluate
