#pragma once
// Where an evaluation walks: the known walks, random ones for other places, and the scripts that come back. Any thread.

#include "generator/evaluate/evaluate_world.hpp"
#include "generator/world/walks/true_walk.hpp"

#include <string>
#include <vector>

namespace wander::evaluate {

inline constexpr int kWalksPerPlace = 4;

struct EvaluationWalk {
    int place = 0;
    bool known = false; // from assets/walks/known_walks.safetensors
    TrueWalk walk;
};

// per_place walks of every place, of `latents` latents. A place has known walks if the file has its name and its theme
// leaves all of them on free ground; half of the others begin at the theme's first start.
Result<std::vector<EvaluationWalk>> evaluation_walks(const EvaluatedWorld& world, int per_place, int latents);

struct RevisitScript {
    const char* name;
    std::vector<Walker::Move> moves; // one a latent
};
// Full turn; 90 degrees away and back; back and forth; turn, walk, turn, walk.
std::vector<RevisitScript> revisit_scripts();
// From the theme's first start.
TrueWalk script_walk(const EvaluatedWorld& world, int place, const RevisitScript& script);

} // namespace wander::evaluate
