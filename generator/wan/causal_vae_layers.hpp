#pragma once
// What the Wan VAEs (2.1, the embedded world's and 2.2) have in common beyond causal_vae.hpp: layers as data, latents
// with a mean and a deviation for each channel, and the decoder's fused path on a GPU. Internal to generator/wan.

#include "generator/wan/causal_vae.hpp"
#include "generator/wan/vae_fused.hpp"

#include <vector>

namespace wander {

class LayeredVaeNet : public CausalVaeNet {
public:
    struct Sizes {
        const char* what = ""; // for messages
        int z = 0;
        FusedVaeForm form;    // its norm and eps are the plain path's too
        bool squares = false; // the plain decoder runs 2-D convolutions on a GPU too, frames side by side
        std::vector<double> latent_mean;
        std::vector<double> latent_std;
    };
    // decoder: as one list. Either half may be left out.
    LayeredVaeNet(Sizes sizes, VaeHalf decoder, at::Device device, at::ScalarType compute, bool with_encoder,
                  bool with_decoder);
    // bad_input lists what the checkpoint lacks.
    Result<void> load(const Shapes& shapes, const TensorSource& source, const DecodeTuning& tuning);

    at::Tensor to_decoder(const at::Tensor& latents) const override;
    std::int64_t latents_per_part() const override;
    // (latents - mean) / deviation.
    at::Tensor normalised(const at::Tensor& latents) const;
    int latents_per_call() const { return fused_.latents_per_call(); }
    bool has_encoder() const { return has_encoder_; }
    bool has_decoder() const { return has_decoder_; }

protected:
    at::Tensor run(const VaeLayer& layer, const at::Tensor& x, VaePast& past, bool first) const;
    at::Tensor run(const std::vector<VaeLayer>& layers, at::Tensor x, VaePast& past, bool first) const;
    const VaeHalf& decoder() const { return decoder_; }
    // The decoder goes through vae_fused.hpp.
    bool fused() const { return fused_.on(); }
    at::Tensor run_fused(const at::Tensor& z, VaePast& past, bool first) const;

private:
    at::Tensor attention(const VaeLayer& layer, const at::Tensor& x, VaePast& past) const;
    at::Tensor up(const VaeLayer& layer, at::Tensor x, VaePast& past, bool first) const;
    at::Tensor down(const VaeLayer& layer, const at::Tensor& x, VaePast& past) const;

    Sizes sizes_;
    VaeHalf decoder_;
    bool has_encoder_ = false;
    bool has_decoder_ = false;
    FusedVae fused_;
    at::Tensor mean_; // wide type [z, 1, 1]
    at::Tensor deviation_;
};

} // namespace wander
