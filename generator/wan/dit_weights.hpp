#pragma once
// The weights of a WanDit and the parts its pass is made of. Internal to generator/wan and its tests.
//
// Matrices have the compute type; norms, modulation, biases of the residual stream and the time, pose and map path
// stay float32 (time path: double when computing in double). Immutable after loading, except for the text and the time
// cache.

#include "generator/nn/linear.hpp"
#include "generator/nn/rows.hpp"
#include "generator/nn/text_attention.hpp"
#include "generator/wan/dit.hpp"
#include "generator/wan/pose_embedding.hpp"

#include <mutex>
#include <optional>
#include <utility>

namespace wander {

struct DitBlock {
    nn::Linear qkv;
    nn::Linear kv;  // last block only: all that its context pass needs
    nn::Linear out; // of both branches' rows side by side, where there are two
    at::Tensor norm_q, norm_k;
    // Cross attention; undefined without text.
    nn::Linear cross_q, cross_k, cross_v, cross_out;
    at::Tensor cross_norm_q, cross_norm_k, norm3_weight, norm3_bias;
    nn::Linear ffn_in, ffn_out;
};

// What one (timestep, label) adds to the network, wide type, [layers, 6, dim] and [2, dim]. Slots are shift, scale,
// gate, shift, scale, gate; shift, scale; the "1 +" of every scale is included.
struct DitModulation {
    at::Tensor blocks;
    at::Tensor head;
};

struct TimeVectors {
    at::Tensor embedding;  // e: [dim], with the label's part
    at::Tensor projection; // e0: [6, dim]
};

PoseEmbeddingConfig pose_config(const DitConfig& config);

struct WanDit::Weights {
    DitConfig config;
    at::Device device = at::kCPU;
    at::ScalarType compute = at::kFloat;
    at::ScalarType wide = at::kFloat;

    nn::Linear patch; // input order (channel, dy, dx)
    nn::Linear time_0, time_2, time_projection, action_0, action_2;
    nn::Linear text_0, text_2;
    std::vector<DitBlock> blocks;
    at::Tensor modulation;      // [layers, 6, dim] wide
    at::Tensor head_modulation; // [2, dim] wide
    nn::Linear head;            // output order (dy, dx, channel)

    std::optional<PoseEmbedding> pose;

    std::vector<nn::TextKeys> text; // of each layer

    mutable std::mutex time_mutex;
    mutable std::map<std::pair<double, int>, DitModulation> time_cache;

    TimeVectors time_vectors(double timestep, int label) const;
    // One DitModulation for all latents when they agree ([layers, 6, 1, dim]), else a row for each ([layers, 6, F,
    // dim]).
    DitModulation modulation_of(const DitPass& pass) const;

    at::Tensor embed_patches(const at::Tensor& latents) const; // [F, C, h, w] -> [F * tokens, dim] wide
    at::Tensor embed_text(const at::Tensor& embedding) const;  // [L, text_dim] -> [text_len, dim] compute
    nn::TextKeys cross_text(const DitBlock& block, const at::Tensor& context, double last_bias = 0) const;

    struct Qkv {
        at::Tensor q, k, v; // [n, heads, head_dim], compute type, rows may lie apart; q undefined if not asked for
    };
    // The norm behind a block: of the next block's attention, or of the head.
    struct NextNorm {
        at::Tensor shift, scale;
        at::ScalarType type;
    };
    Qkv project(const DitBlock& block, const nn::Activation& normed, bool with_query) const;
    nn::Addend self_attention(int layer, const nn::Activation& normed, quant::KvCache& cache, bool write) const;
    nn::Addend cross_attention(int layer, const nn::Activation& normed) const;
    nn::Addend feed_forward(const DitBlock& block, const nn::Activation& normed) const;
    // Runs block `layer` on the stream x in place; normed: x as its attention takes it. factors: [6, groups, dim].
    // Returns x after `next`.
    nn::Activation run_block(int layer, at::Tensor& x, const nn::Activation& normed, const at::Tensor& factors,
                             const NextNorm& next, quant::KvCache& cache, bool write) const;
    void write_last(const nn::Activation& normed, quant::KvCache& cache) const;
    at::Tensor unpatchify(const at::Tensor& tokens, std::int64_t latents, std::int64_t height,
                          std::int64_t width) const;
};

} // namespace wander
