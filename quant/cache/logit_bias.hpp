#pragma once
// What packing does to logits, and how it is taken back.
//
// A packed key is k + e. Over the keys of a page exp(s q.(k + e)) is on average larger than exp(s q.k) by
// exp(s^2 sum_c q_c^2 var(e_c) / 2), s = 1/sqrt(head_dim): noisy keys draw attention from the exact ones (Jensen's
// inequality; arXiv 2605.26266 corrects for the same effect). With CachePolicy::bias_correction the cache measures
// var(e) when it packs a page of keys (the mean squared error over the page's tokens, for every head and every
// kNoiseChannels channels, in Page::noise) and subtracts
//
//     beta = min(kMaxLogitBias, s^2 / 2 * sum_g noise_g * |q_g|^2)
//
// from the logits of the page. Rotations keep |q_g| (RoPE turns pairs inside a group); PRoPE's matrices are rigid up to
// the focal length, so their branch uses its own turned query. Without the cap a few heads of a deep model would lose
// their whole history.

namespace wander::quant {

inline constexpr int kNoiseChannels = 16;
inline constexpr float kMaxLogitBias = 3.0F; // natural logarithm

} // namespace wander::quant
