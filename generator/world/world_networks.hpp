#pragma once
// The networks of a world's folder: dit.safetensors and vae.safetensors, strictly as its world.json says. Any thread.

#include "generator/device.hpp"
#include "generator/world/embedded_world.hpp"

#include <memory>

namespace wander {

// bad_input or io with the file and what it lacks.
Result<std::shared_ptr<WanDit>> load_world_dit(const EmbeddedWorld& world, const ComputeDevice& device,
                                               nn::WeightType weights = nn::WeightType::compute);
Result<std::shared_ptr<const WanVae>> load_world_vae(const EmbeddedWorld& world, const ComputeDevice& device,
                                                     bool encoder, bool decoder);

} // namespace wander
