#pragma once
// Sizes of HY-WorldPlay 8B's networks as the shapes in their files say. Pure, any thread.

#include "generator/hunyuan/hunyuan_config.hpp"
#include "generator/hunyuan/hunyuan_vae.hpp"
#include "generator/models/part_sizes.hpp"

namespace wander {

// bad_input where a tensor that says a size is missing or odd; a strict check with tensor_shapes() has to follow.
Result<HunyuanVaeConfig> hunyuan_vae_of_shapes(const ShapeTable& shapes);
// Likewise. Shapes do not say how rotary channels are shared out: an eighth of a head is time's, the rest is halved, as
// published (16, 56, 56 of 128).
Result<HunyuanConfig> hunyuan_of_shapes(const ShapeTable& shapes);

} // namespace wander
