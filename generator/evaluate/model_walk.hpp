#pragma once
// A walk by the model along given poses, with the classes that the program walks with. One thread, in InferenceMode.

#include "generator/evaluate/evaluate_world.hpp"
#include "generator/rollout/rollout.hpp"
#include "generator/world/walks/true_walk.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace wander::evaluate {

// Poses and labels of a walk with what the network makes of them, made once for all that walks along it.
class GuidedWalk {
public:
    GuidedWalk(const EvaluatedWorld& world, int place, const TrueWalk& walk);

    int latents() const { return static_cast<int>(walk_->poses.size()) - 1; } // the start not counted
    // Of latent k; 0 is the start.
    ChunkInput input(int k, bool with_pose = true) const;

private:
    const TrueWalk* walk_;
    std::vector<at::Tensor> tokens_; // pose embedding of each latent
};

// How a walk is computed.
struct WalkVariant {
    std::string name = "bf16";
    std::string format = "bf16"; // of the cache
    bool fp8_weights = false;    // EvaluatedWorld::fp8_dit
    bool fp8_attention = false;  // emulated: a world's pictures are too small for the kernels
};
// Those that are walked beside the plain one: the formats, then FP8.
std::vector<WalkVariant> variants_of(const EvaluationOptions& options);

Result<std::unique_ptr<Rollout>> open_rollout(const EvaluatedWorld& world, const WalkVariant& variant,
                                              std::uint64_t seed);

// Latents 1 to `latents` by the model alone, `per_call` of them decoded at a time. `start`: [C, rows, cols]. `show`
// gets decoded frames [N, 3, H, W] and the number of the first: 0 alone, then 4 k + 1 onwards. `made` is called after
// each latent; false ends the walk. Returns whether it went to its end.
bool walk_by_model(const EvaluatedWorld& world, const GuidedWalk& walk, const at::Tensor& start, Rollout& rollout,
                   int latents, int per_call,
                   const std::function<void(int first_frame, const at::Tensor& frames)>& show,
                   const std::function<bool()>& made);

} // namespace wander::evaluate
