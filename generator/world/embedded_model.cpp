// The embedded world made ready to walk, and its encoder for start pictures.

#include "generator/walk_model_parts.hpp"
#include "generator/weights/safetensors.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace wander {

namespace {

// The reader keeps the file mapped as long as a tensor of it lives.
WanDit::TensorSource tensors_of(const Safetensors& file) {
    return [file](const std::string& name, const std::vector<std::int64_t>& shape) { return file.tensor(name, shape); };
}

Result<void> load_dit(WalkModel& model, const DitConfig& config, const std::filesystem::path& path,
                      const WalkOptions& options) {
    auto file = Safetensors::open(path);
    if (!file) return file.error();
    const auto kept = options.fp8_weights ? nn::WeightType::e4m3 : nn::WeightType::compute;
    auto dit = WanDit::load(config, tensors_of(*file), model.device.device, model.device.compute, kept);
    if (!dit) return Error{dit.error().code, fmt::format("{}: {}", path.string(), dit.error().message)};
    model.take_dit(std::make_shared<WanDit>(std::move(*dit)));
    return {};
}

Result<std::shared_ptr<const WanVae>> load_vae(const ComputeDevice& device, const VaeConfig& config,
                                               const std::filesystem::path& path, bool encoder) {
    auto file = Safetensors::open(path);
    if (!file) return file.error();
    auto vae = WanVae::load(config, tensors_of(*file), device.device, device.compute, encoder, !encoder);
    if (!vae) return Error{vae.error().code, fmt::format("{}: {}", path.string(), vae.error().message)};
    return std::shared_ptr<const WanVae>(std::make_shared<WanVae>(std::move(*vae)));
}

} // namespace

Result<WalkModel> load_embedded(const WalkOptions& options, WalkModel model) {
    auto world = EmbeddedWorld::read(options.assets / "world");
    if (!world) return world.error();
    model.name = "embedded";
    model.latent_rows = world->latent_rows();
    model.latent_cols = world->latent_cols();
    model.chunk_latents = world->chunk_latents;
    model.fps = world->fps;
    model.world = std::make_shared<EmbeddedWorld>(std::move(*world));
    const EmbeddedWorld& w = *model.world;
    model.starts = w.starts;
    if (!options.prompt.empty()) model.warnings.emplace_back("--prompt is ignored: the embedded world takes no text");
    if (auto done = load_dit(model, w.dit, w.folder / "dit.safetensors", options); !done) return done.error();
    auto decoder = load_vae(model.device, w.vae, w.folder / "vae.safetensors", false);
    if (!decoder) return decoder.error();
    model.decoder = *decoder;
    const quant::CacheShape shape{
        .page_latents = w.page_latents, .sink_latents = w.sink_latents, .window_latents = w.window_latents};
    Rollout::Config config;
    config.sampler = w.sampler;
    config.slot_positions = true;
    config.period = w.camera.period;
    config.translation_scale = w.camera.translation_scale;
    config.focal_x = w.camera.focal_x;
    config.focal_y = w.camera.focal_y;
    if (auto done = make_causal_walk(model, shape, config, options); !done) return done.error();
    // Its weights are small and read when a picture comes.
    model.encode_start = [device = model.device, world = model.world](const at::Tensor& picture) -> Result<at::Tensor> {
        auto encoder = load_vae(device, world->vae, world->folder / "vae.safetensors", true);
        if (!encoder) return encoder.error();
        return (*encoder)->encode(picture.to(device.device, device.compute)).to(at::kCPU, at::kFloat)[0].contiguous();
    };
    return model;
}

} // namespace wander
