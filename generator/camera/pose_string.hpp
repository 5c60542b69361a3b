#pragma once
// HY-WorldPlay pose strings: "w-8,right-4" = eight latents forward, then four turning right. No torch, any thread.
//
// Comma-separated items `action-n`; actions w s a d (move) and up down left right (look), lower case; n is a number of
// latents without a minus sign, fractions cut off ("1e1" is ten). Blanks and empty items are skipped. Every latent has
// one action; nothing is held after the last.

#include "generator/plain/control_state.hpp"
#include "generator/plain/result.hpp"

#include <string_view>
#include <vector>

namespace wander {

inline constexpr int kMaxPoseStringLatents = 1'000'000; // 70 hours of walking

// One action for every latent. wrong_use with the item at fault.
Result<std::vector<Action>> parse_pose_string(std::string_view text);

} // namespace wander
