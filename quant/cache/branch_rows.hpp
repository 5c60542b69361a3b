#pragma once
// Keys and values in the two forms in which attention reads them: turned by RoPE, and by the latent's P^-1. A store
// that keeps what is read, as Quant-VideoGen's does, holds both; our pages hold what they come from.
//
// KvCache::set_text() takes such rows on the CPU as well: each branch then reads its own in front of the history, as
// they are.

#include "quant/kv_cache.hpp"

namespace wander::quant {

// Of `latents` latents of the view's new ones, from its latent `first` on. keys, values: their rows un-rotated,
// [latents * tokens, heads, head_dim], on the CPU. Result: [2, latents * tokens, heads, head_dim], the RoPE branch
// first, exactly what attend() would make of them in the same type.
TextRows branch_rows(const ReadView& view, const CacheShape& shape, int first, int latents, const at::Tensor& keys,
                     const at::Tensor& values);

} // namespace wander::quant
