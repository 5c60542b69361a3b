#pragma once
// How well a transformer continues true history by one latent: a quick figure while it trains. No gradients.

#include "generator/train/train_dit.hpp"
#include "generator/train/training_data.hpp"

#include <vector>

namespace wander::train {

struct NextLatentError {
    double model = 0;  // mean square error of the sampled next latent, normalised latents
    double repeat = 0; // of showing the latent before it again
};

// All walks of `data`, their first `latents` latents behind the start picture, each sampled over `sigmas` (Euler)
// behind true history. Noise from `seed`.
NextLatentError next_latent_error(const TrainDit& dit, const TrainingData& data, const std::vector<double>& sigmas,
                                  std::int64_t latents, std::uint64_t seed);

} // namespace wander::train
