#pragma once
// The VAE of HunyuanVideo 1.5 (hy-worldplay.md 6), as HY-WorldPlay 8B uses it: 32 channels, 16 x 16 pixels and 4 frames
// a latent. Streaming decoder and encoder with convolution caches, the mid attention frame by frame. Sizes are data,
// tensor names the checkpoint's. It holds weights only and may be shared by streams.

#include "generator/wan/causal_vae.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace wander {

struct HunyuanVaeConfig {
    int z = 32;
    std::vector<int> widths = {128, 256, 512, 1024, 1024}; // of the encoder's levels; the decoder's in reverse
    int residual_blocks = 2;                               // of an encoder level; a decoder level has one more
    int temporal_levels = 2;                               // the coarsest changes of size that change time as well
    double scale = 1.03682;                                // of latents

    int spatial_scale() const { return 1 << (widths.size() - 1); }
    std::map<std::string, std::vector<std::int64_t>> tensor_shapes(bool encoder, bool decoder) const;
};

class HunyuanVae : public VideoDecoder {
public:
    using TensorSource = CausalVaeNet::TensorSource;
    // compute: kFloat, kBFloat16 or kDouble. bad_input lists what the checkpoint lacks.
    static Result<HunyuanVae> load(const HunyuanVaeConfig& config, const TensorSource& source, at::Device device,
                                   at::ScalarType compute, bool with_encoder, bool with_decoder,
                                   const DecodeTuning& tuning = {});

    std::string name() const override { return "full"; }
    PixelRange range() const override { return {-1, 1}; }
    int latent_channels() const override { return config().z; }
    std::unique_ptr<VideoDecodeStream> open_stream() const override;
    int latents_per_call() const override;

    CausalDecodeStream decode_stream() const;
    CausalEncodeStream encode_stream() const;
    // What the transformer takes: the mean (the mode of the posterior) times the scale.
    at::Tensor scaled(const at::Tensor& mean) const;

    const HunyuanVaeConfig& config() const;

private:
    struct Net;
    std::shared_ptr<const Net> net_;
};

} // namespace wander
