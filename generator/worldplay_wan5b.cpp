// WAN-5B's networks: the transformer reads the prompt itself, and the start picture is latent 0.

#include "generator/wan/vae22.hpp"
#include "generator/world/theme_starts.hpp"
#include "generator/worldplay_networks.hpp"

#include <ATen/ATen.h>

namespace wander {

namespace {

// Latent index and step of the start picture's noise, which no latent of a walk has.
constexpr std::int64_t kPictureLatent = -1;

Result<std::shared_ptr<const Wan22Vae>> read_vae(const ModelPart& part, const Vae22Config& config,
                                                 const ComputeDevice& device, bool encoder) {
    auto vae = Wan22Vae::load(config, part.source(), device.device, device.compute, encoder, !encoder);
    if (!vae) return at_file(part.path, vae.error());
    return std::shared_ptr<const Wan22Vae>(std::make_shared<Wan22Vae>(std::move(*vae)));
}

} // namespace

Result<WorldPlayNetworks> load_wan_5b_networks(WalkModel& model, const WorldPlayFolder& folder,
                                               const WalkOptions& options) {
    if (auto done = load_transformer(model, folder, folder.dit, options); !done) return done.error();
    if (options.decoder == "tiny") {
        if (auto done = load_tiny_decoder(model, folder, folder.tiny_vae, options); !done) return done.error();
    } else {
        say_progress(options, "reading the decoder");
        auto vae = read_vae(*folder.part(PartKind::vae), folder.vae, model.device, false);
        if (!vae) return vae.error();
        model.decoder = *vae;
    }
    return WorldPlayNetworks{worldplay_net(model.dit), std::make_shared<WanText>(model.dit)};
}

// The encoder is read when a picture comes. As published, a walk starts from a sample of what the encoder says.
Result<void> load_wan_5b_encoders(WalkModel& model, const WorldPlayFolder& folder, const WalkOptions& options) {
    model.encode_start = [part = *folder.part(PartKind::vae), config = folder.vae, noise = model.noise,
                          device = model.device](const at::Tensor& picture) -> Result<at::Tensor> {
        auto vae = read_vae(part, config, device, true);
        if (!vae) return vae.error();
        const VaeMoments moments = (*vae)->encode_stream().encode(picture.to(device.device, device.compute));
        const at::Tensor drawn = (*noise)(kPictureLatent, 0, moments.mean[0].sizes().vec());
        const at::Tensor sample = moments.sample(drawn.unsqueeze(0).to(moments.mean));
        return (*vae)->normalised(sample)[0].to(at::kCPU, at::kFloat).contiguous();
    };
    return load_text_encoder(model, folder, folder.text, folder.dit.text_len, options);
}

} // namespace wander
