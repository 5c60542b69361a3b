#pragma once
// Causal Wan VAE: streaming decoder and encoder, sizes are data (Wan 2.1 of self-forcing.md 8 and the embedded world's
// of tiny-world.md 2 are configurations). Native tensor names.
//
// It holds weights only and may be shared by streams. One thread per stream.

#include "generator/wan/causal_vae.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace wander {

struct VaeConfig {
    enum class Layout { wan21, embedded };
    Layout layout = Layout::wan21;
    int z = 16;
    int dim = 96; // wan21: base width
    std::vector<int> multipliers = {1, 2, 4, 4};
    int residual_blocks = 2;
    std::vector<bool> temporal_downsample = {false, true, true};
    std::vector<int> encoder_channels; // embedded: 48, 96, 128
    std::vector<int> decoder_channels; // embedded: 48, 64, 96
    int patch = 1;                     // pixels to channels on each axis (embedded 2)
    double eps = 1e-6;
    std::vector<double> latent_mean;
    std::vector<double> latent_std;

    int temporal_scale() const { return 4; }
    int spatial_scale() const { return 8; }
    std::map<std::string, std::vector<std::int64_t>> tensor_shapes(bool encoder, bool decoder) const;
};

class WanVae : public VideoDecoder {
public:
    using TensorSource = CausalVaeNet::TensorSource;
    // compute: kFloat, kBFloat16 or kDouble. bad_input lists what the checkpoint lacks.
    static Result<WanVae> load(const VaeConfig& config, const TensorSource& source, at::Device device,
                               at::ScalarType compute, bool with_encoder, bool with_decoder,
                               const DecodeTuning& tuning = {});

    CausalDecodeStream decode_stream() const;

    std::string name() const override { return "full"; }
    PixelRange range() const override { return {-1, 1}; }
    int latent_channels() const override { return config().z; }
    std::unique_ptr<VideoDecodeStream> open_stream() const override;
    int latents_per_call() const override;

    // frames: [N, 3, H, W] in [-1, 1], N = 1 + 4 k. Returns normalised latents [1 + k, z, h, w], float32 (or double).
    // So many latents are made at one time: the fewer, the less memory; the same numbers up to rounding.
    at::Tensor encode(const at::Tensor& frames, int latents_at_once = 16) const;

    const VaeConfig& config() const;

private:
    struct Net;
    std::shared_ptr<const Net> net_;
};

} // namespace wander
