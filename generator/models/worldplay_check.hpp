#pragma once
// The strict check of one part of a HY-WorldPlay model: every name and shape, and that the parts fit each other. Any
// thread, one at a time for a model.

#include "generator/models/worldplay_folder.hpp"
#include "generator/models/worldplay_parts.hpp"

namespace wander {

// Reads the sizes of the part's network from its tensors and the descriptions beside it into `model`, whose parts are
// checked in their order: the transformer's sizes come before the VAE's, the VAE's before the tiny one's. `files` are
// the model's: a description may lie beside any of its transformers. A tiny VAE of other latents is no error here.
Result<void> check_worldplay_part(const ModelPart& part, const WorldPlayFiles& files, WorldPlayFolder& model);

// Does the tiny VAE that was read have the latents of the model's full one?
bool tiny_vae_fits(const WorldPlayFolder& model);

} // namespace wander
