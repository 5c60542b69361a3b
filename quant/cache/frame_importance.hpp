#pragma once
// Which latents of a page a pruning format keeps whole.

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace wander::quant {

// How many of a page's latents that are, whatever they hold.
int important_latent_count(int latents);

// keys: [latents * tokens, heads, head_dim] of one page, un-rotated. Bit n of the answer: latent n is kept. Keeps
// ceil(0.58 * latents) of them (the share that the published soft-prune setting leaves of 42 latents), by the relative
// change of the per-head mean of |k| from the latent before plus a small preference for newer ones; the first latent of
// a page has no latent before it and always stays. One copy to the host a page group.
std::uint32_t important_latents(const at::Tensor& keys, int latents);

} // namespace wander::quant
