// A world, the embedded one or a trained folder, made ready to walk, and its encoder for start pictures.

#include "generator/walk_model_parts.hpp"
#include "generator/world/plain/world_folder.hpp"
#include "generator/world/world_networks.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace wander {

Result<WalkModel> load_embedded(const WalkOptions& options, WalkModel model) {
    auto world = EmbeddedWorld::read(model_path(options.model, options.assets));
    if (!world) return world.error();
    const bool shipped = options.model == "embedded";
    model.name = shipped ? options.model : shown_world_name(world->name, world->folder);
    model.latent_rows = world->latent_rows();
    model.latent_cols = world->latent_cols();
    model.chunk_latents = world->chunk_latents;
    model.fps = world->fps;
    model.world = std::make_shared<EmbeddedWorld>(std::move(*world));
    const EmbeddedWorld& w = *model.world;
    model.starts = w.starts;
    if (!options.prompt.empty())
        model.warnings.emplace_back(
            fmt::format("--prompt is ignored: {} takes no text", shipped ? "the embedded world" : model.name));
    auto dit = load_world_dit(w, model.device, options.fp8_weights ? nn::WeightType::e4m3 : nn::WeightType::compute);
    if (!dit) return dit.error();
    model.take_dit(*dit);
    auto decoder = load_world_vae(w, model.device, false, true);
    if (!decoder) return decoder.error();
    model.decoder = *decoder;
    if (auto done = make_causal_walk(model, w.cache_shape(), w.rollout_config(), options); !done) return done.error();
    // Its weights are small and read when a picture comes.
    model.encode_start = [device = model.device, world = model.world](const at::Tensor& picture) -> Result<at::Tensor> {
        auto encoder = load_world_vae(*world, device, true, false);
        if (!encoder) return encoder.error();
        return (*encoder)->encode(picture.to(device.device, device.compute)).to(at::kCPU, at::kFloat)[0].contiguous();
    };
    return model;
}

} // namespace wander
