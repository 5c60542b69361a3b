#pragma once
// HY-WorldPlay's 8B transformer, the image side: the network that the chunk loop runs (hy-worldplay.md 2.5). Its text
// tokens are keys and values alone, which HunyuanTextSide makes once a prompt and KvCache::set_text() takes.
//
// The object holds weights only and may serve several walks. forward() runs under InferenceMode on the caller's thread.

#include "generator/hunyuan/hunyuan_config.hpp"
#include "generator/nn/linear.hpp"
#include "generator/rollout/worldplay_net.hpp"
#include "generator/split/head_split.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace wander {

class HunyuanDit final : public WorldPlayNet {
public:
    using TensorSource = WanDit::TensorSource;
    // Loads strictly all of image_shapes(), published names. compute: kFloat, kBFloat16, kDouble. weights: e4m3 keeps
    // q, k, v and the feed forward in FP8, on a GPU in bfloat16 alone.
    static Result<HunyuanDit> load(const HunyuanConfig& config, const TensorSource& source, at::Device device,
                                   at::ScalarType compute, nn::WeightType weights = nn::WeightType::compute);

    // The same weights as one rank of several devices': all of them run every pass, each with a cache of
    // config().heads / split->size() heads, and all return the same flow. The caller sees to it that heads divide.
    HunyuanDit as_rank(std::shared_ptr<HeadSplit> split) const;

    const HunyuanConfig& config() const;

    at::Device device() const override;
    int channels() const override { return config().channels; }
    bool prope() const override { return true; }
    // A token is one place of the latent.
    void fill_rope(quant::ReadView& view, int rows, int cols) const override;
    // pass.latents: [F, channels, h, w]; token_bias is not taken. pass.picture becomes the extra channels of the first
    // latent. Velocity [F, channels, h, w] float32 (or double); undefined for a context pass.
    at::Tensor forward(const WorldPlayPass& pass, quant::KvCache& cache) const override;

    struct Weights;
    const Weights& weights() const { return *weights_; } // generator/hunyuan/hunyuan_dit_weights.hpp, for tests

private:
    std::shared_ptr<Weights> weights_;
    std::shared_ptr<HeadSplit> split_; // null: all on one device
};

} // namespace wander
