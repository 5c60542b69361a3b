#pragma once
// Sizes of HunyuanVideo 1.5's VAE as the shapes in a file say, for HY-WorldPlay 8B. Pure, any thread.

#include "generator/hunyuan/hunyuan_vae.hpp"
#include "generator/models/part_sizes.hpp"

namespace wander {

// bad_input where a tensor that says a size is missing or odd; a strict check with tensor_shapes() has to follow.
Result<HunyuanVaeConfig> hunyuan_vae_of_shapes(const ShapeTable& shapes);

} // namespace wander
