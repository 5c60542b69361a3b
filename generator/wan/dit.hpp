#pragma once
// Causal Wan diffusion transformer: one class, sizes are data. Self-Forcing 1.3B, the embedded world and HY-WorldPlay
// WAN-5B are configurations of it. Tensor names are the native checkpoints' (self-forcing.md 3, tiny-world.md 3).
//
// forward() runs one pass over the latents of one chunk, reading history through the KvCache. The same object serves
// several walks; it holds weights only. Runs under InferenceMode on the caller's thread.

#include "generator/nn/linear.hpp"
#include "generator/plain/result.hpp"
#include "quant/kv_cache.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace wander {

struct DitConfig {
    int dim = 0;
    int layers = 0;
    int heads = 0;
    int head_dim = 0;
    int ffn = 0;
    int channels = 16;
    int freq_dim = 256;
    double eps = 1e-6;
    double rope_theta = 10000.0;
    int rope_time_channels = 0; // of head_dim; even. Self-Forcing 44/42/42, embedded 24/20/20
    int rope_row_channels = 0;
    int rope_col_channels = 0;
    int text_dim = 0; // 0: no text, no cross attention
    int text_len = 0;
    bool action_label = false; // action_in.mlp.* added to the time embedding
    bool prope = false;        // second attention branch and blocks.N.self_attn.prope_proj
    // Learned map and absolute pose (embedded world only); 0: none. tiny-world.md 4.
    int pose_hidden = 0;
    int pose_worlds = 0;
    int map_channels = 16;
    int map_fine_cells = 0;
    int map_coarse_cells = 0;
    std::vector<double> fine_distances;
    std::vector<double> coarse_distances;

    // Every tensor name with its shape, exactly what a checkpoint must hold.
    std::map<std::string, std::vector<std::int64_t>> tensor_shapes() const;
};

struct DitPass {
    at::Tensor latents;            // [F, channels, h, w] compute or float32
    std::vector<double> timesteps; // one per latent, floating point (937.5 stays 937.5)
    std::vector<int> labels;       // one per latent when action_label
    at::Tensor token_bias;         // optional [F * tokens, dim] float32: pose embedding, added to the patch tokens
    bool context = false;          // stop after K, V of the last block; write them to the cache; no output
    // Optional: called before every block but the first, where only the running sum of the pass and its norm are
    // alive.
    std::function<void()> between_blocks;
};

class WanDit {
public:
    using TensorSource =
        std::function<Result<at::Tensor>(const std::string& name, const std::vector<std::int64_t>& shape)>;
    // Loads strictly: every name of tensor_shapes(), nothing is optional. compute: kFloat, kBFloat16, kDouble. weights:
    // e4m3 keeps the large matrices (self-attention's q, k, v, feed forward) in FP8, on a GPU in bfloat16 alone.
    static Result<WanDit> load(const DitConfig& config, const TensorSource& source, at::Device device,
                               at::ScalarType compute, nn::WeightType weights = nn::WeightType::compute);

    const DitConfig& config() const;
    at::Device device() const;

    // Text: embedding [L <= text_len, text_dim]; the rest is zero padding, attended unmasked (self-forcing.md 4.3).
    // Precomputes cross K, V of all layers; call again on a prompt change.
    void set_text(const at::Tensor& embedding);

    // Velocity [F, channels, h, w] float32 (or double); undefined tensor for a context pass.
    at::Tensor forward(const DitPass& pass, quant::KvCache& cache) const;

    // Pose embedding of one latent (embedded world): [tokens, dim] float32. tiny-world.md 4.
    at::Tensor pose_tokens(float x, float z, float yaw, float pitch, int world, int rows, int cols) const;

    // ReadView parts that depend on the configuration: time frequencies, space angles for a rows x cols grid.
    void fill_rope(quant::ReadView& view, int rows, int cols) const;

    struct Weights;
    const Weights& weights() const { return *weights_; } // generator/wan/dit_weights.hpp, for tests of the parts

private:
    std::shared_ptr<Weights> weights_;
};

// [values, width] float64 on the CPU: cosines first, frequencies 10000^(-i / half).
at::Tensor sinusoidal_embedding(const std::vector<double>& values, int width);

} // namespace wander
