#pragma once
// The weights of a HunyuanDit and the parts its pass is made of. Internal to generator/hunyuan and its tests.
//
// Matrices have the compute type; norms, modulation rows, the residual stream, the patch layer, the last layer and the
// time path are float32 (double when computing in double). Immutable after loading, except for the modulation cache.

#include "generator/hunyuan/hunyuan_dit.hpp"
#include "generator/hunyuan/hunyuan_time.hpp"
#include "generator/nn/rows.hpp"

#include <map>
#include <mutex>
#include <utility>

namespace wander {

struct HunyuanBlock {
    nn::Linear modulation; // shift, scale, gate, shift, scale, gate
    nn::Linear qkv;
    nn::Linear kv;             // last block only: all that its context pass needs
    nn::Linear out;            // over [RoPE branch | PRoPE branch]
    at::Tensor norm_q, norm_k; // [head_dim]
    nn::Linear mlp_in, mlp_out;
};

struct HunyuanDit::Weights {
    HunyuanConfig config;
    at::Device device = at::kCPU;
    at::ScalarType compute = at::kFloat;
    at::ScalarType wide = at::kFloat;

    nn::Linear patch;
    HunyuanEmbedder time, action;
    std::vector<HunyuanBlock> blocks;
    nn::Linear head_modulation; // shift, scale
    nn::Linear head;

    // What the (timestep, label) of each latent adds; the "1 +" of every scale is included. groups: 1 where all latents
    // agree, else F.
    struct Modulation {
        at::Tensor blocks; // [layers, 6, groups, dim] wide
        at::Tensor head;   // [2, groups, dim] wide
    };
    Modulation modulation_of(const DitPass& pass) const;
    at::Tensor vectors(const std::vector<double>& timesteps, const std::vector<int>& labels) const; // [n, dim] wide

    at::Tensor embed_tokens(const at::Tensor& latents, const at::Tensor& picture) const; // [F * h * w, dim] wide

    struct Qkv {
        at::Tensor q, k, v; // [n, heads, head_dim], compute type, rows may lie apart; q undefined if not asked for
    };
    // The norm behind a block: of the next block's attention, or of the head.
    struct NextNorm {
        at::Tensor shift, scale;
        at::ScalarType type;
    };
    Qkv project(const HunyuanBlock& block, const nn::Activation& normed, bool with_query) const;
    // The rows and heads that this device attends for; split: null, or this device's rank of several.
    struct Attending {
        quant::KvCache& cache;
        bool write = false; // keys and values to the cache
        HeadSplit* split = nullptr;
        std::int64_t first_token = 0; // of the pass, with a split: where this rank's begin
    };
    // [n, 2 * dim]: both branches of every token beside each other.
    at::Tensor attend(int layer, const nn::Activation& normed, const Attending& attending) const;
    // Runs block `layer` on the stream x in place; normed: x as its attention takes it. factors: [6, groups, dim].
    // Returns x after `next`.
    nn::Activation run_block(int layer, at::Tensor& x, const nn::Activation& normed, const at::Tensor& factors,
                             const NextNorm& next, const Attending& attending) const;

private:
    struct Rows {
        at::Tensor blocks; // [layers, 6, dim]
        at::Tensor head;   // [2, dim]
    };
    using Key = std::pair<double, int>;        // timestep, label
    const Rows& rows_of(const Key& key) const; // under the mutex

    mutable std::mutex rows_mutex_;
    mutable std::map<Key, Rows> rows_;
};

} // namespace wander
