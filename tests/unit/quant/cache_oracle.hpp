#pragma once
// What the paged cache must compute, the obvious way: all keys and values in one dense double tensor, rotated there,
// one softmax. Plus random views and a driver that feeds a cache and its oracle the same chunk.

#include "quant/kv_cache.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace wander::test {

struct CacheSetup {
    quant::CacheShape shape;
    quant::CachePolicy policy;
    at::ScalarType compute = at::kFloat;
    at::Device device = at::kCPU;
    int time_pairs = 2;
    bool prope = true;
    std::uint64_t seed = 1;
    int text_tokens = 0; // of the text that make_cache() sets
};

// One layer of the embedded world, window of 24 latents.
CacheSetup embedded_setup();
// Two heads of 16 channels, six tokens a latent, pages of `page` latents.
CacheSetup small_setup(int layers, int sink, int window, int page);

// Throws where the setup is refused: that fails the running test.
std::unique_ptr<quant::KvCache> make_cache(const CacheSetup& setup);

// Random, well-conditioned rotations and cameras for the given history.
quant::ReadView random_view(const CacheSetup& setup, const std::vector<std::int64_t>& history,
                            std::int64_t first_latent, int latents, std::uint64_t seed);

at::Tensor random_rows(const CacheSetup& setup, int latents,
                       std::uint64_t seed); // [tokens, heads, head_dim], compute type

// history_k, history_v: [history * tokens, heads, head_dim], any type. history_noise: [history * tokens, heads,
// head_dim / kNoiseChannels], what quant/cache/logit_bias.hpp corrects for; undefined: no correction. one_row: by
// history latent, whether all its (equal) rows stand in the middle of the picture, as a pruned latent's; empty: none.
// text: read by both branches as it is.
// Returns [branches, tokens, heads, head_dim] double.
at::Tensor dense_attention(const CacheSetup& setup, const quant::ReadView& view, const at::Tensor& history_k,
                           const at::Tensor& history_v, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           const at::Tensor& history_noise = {}, const std::vector<bool>& one_row = {},
                           const quant::TextRows& text = {});

// Of one layer, by setup.text_tokens; undefined tensors without a text.
quant::TextRows random_text(const CacheSetup& setup, int layer);

// The cache's own un-rotated values of the visible history, one layer, concatenated.
at::Tensor visible_values(const quant::KvCache& cache, const CacheSetup& setup, int layer,
                          const std::vector<std::int64_t>& history, bool keys);

// Largest |a - b| over the largest |b|.
double relative_error(const at::Tensor& a, const at::Tensor& b);

// One chunk: begin, two attends a layer compared with the dense result over the cache's own values, write, commit.
// Returns the largest relative error seen.
double step_and_compare(quant::KvCache& cache, const CacheSetup& setup, std::int64_t first_latent, int latents,
                        std::uint64_t seed);

// The same for a new cache and `chunks` chunks of `latents` latents.
double worst_of_walk(const CacheSetup& setup, int chunks, int latents);

// `chunks` chunks of two latents, then one that reads `chosen` of their latents alone. Returns that one's error.
double error_of_chosen(const CacheSetup& setup, int chunks, const std::vector<std::int64_t>& chosen);

} // namespace wander::test
