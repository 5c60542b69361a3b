#pragma once
// Wan 2.2 VAE (hy-worldplay.md 7.4): streaming decoder and encoder. Sizes are data, tensor names native.
//
// Causal like the 2.1 one, with shortcuts around whole levels. It holds weights only and may be shared by streams.

#include "generator/wan/causal_vae.hpp"
#include "generator/wan/vae22_config.hpp"

#include <memory>
#include <string>

namespace wander {

class Wan22Vae : public VideoDecoder {
public:
    using TensorSource = CausalVaeNet::TensorSource;
    // compute: kFloat, kBFloat16 or kDouble. bad_input lists what the checkpoint lacks.
    static Result<Wan22Vae> load(const Vae22Config& config, const TensorSource& source, at::Device device,
                                 at::ScalarType compute, bool with_encoder, bool with_decoder,
                                 const DecodeTuning& tuning = {});

    std::string name() const override { return "full"; }
    PixelRange range() const override { return {-1, 1}; }
    int latent_channels() const override { return config().z; }
    std::unique_ptr<VideoDecodeStream> open_stream() const override;
    int latents_per_call() const override;

    CausalDecodeStream decode_stream() const;
    CausalEncodeStream encode_stream() const;
    // (latents - mean) / deviation: of a mean or a sample, what the transformer takes. WAN-5B starts from a sample.
    at::Tensor normalised(const at::Tensor& latents) const;

    const Vae22Config& config() const;

private:
    struct Net;
    std::shared_ptr<const Net> net_;
};

} // namespace wander
