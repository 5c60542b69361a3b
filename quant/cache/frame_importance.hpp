#pragma once
// Which latents of a page a pruning format keeps whole.

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace wander::quant {

// How many of a page's latents that are, whatever they hold.
int important_latent_count(int latents);

// What the choice rests on: the mean of |k| for each head, float32 [heads] on the keys' device. keys: [tokens, heads,
// head_dim] of one latent, un-rotated.
at::Tensor importance_sketch(const at::Tensor& keys);

// sketches: of all latents of a page, [latents, heads] in host memory. Bit n of the answer: latent n is kept. Keeps
// ceil(0.58 * latents) of them (the share that the published soft-prune setting leaves of 42 latents), by the relative
// change of the sketch from the latent before plus a small preference for newer ones; the first latent of a page has no
// latent before it and always stays.
std::uint32_t important_latents(const at::Tensor& sketches);

} // namespace wander::quant
