#include "generator/walk_model.hpp"

#include "generator/model_folder.hpp"
#include "generator/weights/safetensors.hpp"
#include "generator/world/start_picture.hpp"
#include "quant/cache/frame_importance.hpp"
#include "quant/format.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace wander {

namespace {

// The reader keeps the file mapped as long as a tensor of it lives.
WanDit::TensorSource tensors_of(const Safetensors& file) {
    return [file](const std::string& name, const std::vector<std::int64_t>& shape) { return file.tensor(name, shape); };
}

Result<void> load_dit(WalkModel& model, const DitConfig& config, const std::filesystem::path& path,
                      const at::Tensor& text, const WalkOptions& options) {
    auto file = Safetensors::open(path);
    if (!file) return file.error();
    const auto kept = options.fp8_weights ? nn::WeightType::e4m3 : nn::WeightType::compute;
    auto dit = WanDit::load(config, tensors_of(*file), model.device.device, model.device.compute, kept);
    if (!dit) return Error{dit.error().code, fmt::format("{}: {}", path.string(), dit.error().message)};
    if (text.defined()) dit->set_text(text);
    model.dit = std::make_shared<WanDit>(std::move(*dit));
    return {};
}

Result<std::shared_ptr<const WanVae>> load_vae(const WalkModel& model, const VaeConfig& config,
                                               const std::filesystem::path& path, bool encoder) {
    auto file = Safetensors::open(path);
    if (!file) return file.error();
    auto vae = WanVae::load(config, tensors_of(*file), model.device.device, model.device.compute, encoder, !encoder);
    if (!vae) return Error{vae.error().code, fmt::format("{}: {}", path.string(), vae.error().message)};
    return std::shared_ptr<const WanVae>(std::make_shared<WanVae>(std::move(*vae)));
}

// What a page of this model costs in a format, or why it cannot have it.
FormatInfo describe_format(const quant::PageFormat& format, const quant::CacheShape& shape, at::ScalarType compute) {
    FormatInfo info;
    info.name = format.name();
    info.label = format.label();
    info.bits = format.nominal_bits();
    info.lossless = format.lossless();
    quant::EncodeOptions options;
    if (format.prunes()) options.kept = (1U << quant::important_latent_count(shape.page_latents)) - 1U;
    std::int64_t bytes = 0;
    std::int64_t bf16_bytes = 0;
    for (const bool is_key : {true, false}) {
        const quant::PageShape page{.tokens = shape.page_latents * shape.tokens_per_latent,
                                    .heads = shape.heads,
                                    .head_dim = shape.head_dim,
                                    .is_key = is_key,
                                    .compute = compute,
                                    .tokens_per_latent = shape.tokens_per_latent};
        if (auto fits = format.supports(page); !fits) {
            info.refusal = fits.error().message;
            info.ratio = 0;
            return info;
        }
        bytes += format.bytes(page, options).total();
        bf16_bytes += page.values() * 2;
    }
    // Uncompressed pages have the compute type, and that is not what is compared here.
    info.ratio = format.packed() ? static_cast<double>(bf16_bytes) / static_cast<double>(bytes) : 1.0;
    return info;
}

std::vector<FormatInfo> describe_formats(const quant::CacheShape& shape, at::ScalarType compute) {
    std::vector<FormatInfo> formats;
    for (const quant::PageFormat* format : quant::FormatRegistry::instance().formats())
        formats.push_back(describe_format(*format, shape, compute));
    return formats;
}

Result<void> make_rollout(WalkModel& model, quant::CacheShape shape, Rollout::Config config,
                          const WalkOptions& options) {
    const DitConfig& dit = model.dit->config();
    shape.layers = dit.layers;
    shape.heads = dit.heads;
    shape.head_dim = dit.head_dim;
    shape.tokens_per_latent = model.token_rows() * model.token_cols();
    config.rows = model.latent_rows;
    config.cols = model.latent_cols;
    config.draw_ahead = true;
    // The centroids' seed stays 0: pages shall not depend on what was walked before.
    quant::CachePolicy policy;
    static_cast<quant::CacheRules&>(policy) = options.cache_rules;
    policy.format = options.cache_format;
    policy.attention = options.attention;
    policy.tile_tokens = options.twin_tile_tokens;
    if (options.twin_slice_bytes > 0) policy.slice_bytes = options.twin_slice_bytes;
    auto cache = quant::KvCache::create(shape, policy, model.device.device, model.device.compute);
    if (!cache) return cache.error();
    model.formats = describe_formats(shape, model.device.compute);
    model.noise = std::make_shared<NoiseSource>(keyed_noise(options.seed));
    const auto draw = [source = model.noise](std::int64_t latent, int step, const std::vector<std::int64_t>& size) {
        return (*source)(latent, step, size);
    };
    model.rollout = std::make_shared<Rollout>(model.dit, std::move(*cache), std::move(config), draw);
    return {};
}

Result<WalkModel> load_embedded(const WalkOptions& options, WalkModel model) {
    auto world = EmbeddedWorld::read(options.assets / "world");
    if (!world) return world.error();
    model.name = "embedded";
    model.latent_rows = world->latent_rows();
    model.latent_cols = world->latent_cols();
    model.chunk_latents = world->chunk_latents;
    model.fps = world->fps;
    model.world = std::move(*world);
    const EmbeddedWorld& w = *model.world;
    if (!options.prompt.empty()) model.warnings.emplace_back("--prompt is ignored: the embedded world takes no text");
    if (auto done = load_dit(model, w.dit, w.folder / "dit.safetensors", {}, options); !done) return done.error();
    auto decoder = load_vae(model, w.vae, w.folder / "vae.safetensors", false);
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
    if (auto done = make_rollout(model, shape, config, options); !done) return done.error();
    return model;
}

Result<WalkModel> load_folder(const WalkOptions& options, WalkModel model) {
    if (!std::filesystem::is_directory(options.model)) {
        return Error{ErrorCode::wrong_use,
                     fmt::format("--model {}: no such folder; use embedded or a model folder", options.model)};
    }
    auto folder = ModelFolder::read(options.model);
    if (!folder) return folder.error();
    if (!options.prompt.empty()) {
        return Error{
            ErrorCode::wrong_use,
            fmt::format("--prompt: {} has no text encoder at hand, only its ready text embedding; leave --prompt out",
                        folder->name)};
    }
    if (!options.start.empty() || options.start_pose) {
        return Error{ErrorCode::wrong_use,
                     fmt::format("--start: {} makes a world from its text alone; leave --start out", folder->name)};
    }
    model.name = folder->name;
    model.latent_rows = folder->latent_rows;
    model.latent_cols = folder->latent_cols;
    model.chunk_latents = folder->chunk_latents;
    model.fps = folder->fps;
    auto text = folder->text_embedding();
    if (!text) return text.error();
    if (auto done = load_dit(model, folder->dit, folder->folder / "dit.safetensors", *text, options); !done)
        return done.error();
    auto decoder = load_vae(model, folder->vae, folder->folder / "vae.safetensors", false);
    if (!decoder) return decoder.error();
    model.decoder = *decoder;
    const quant::CacheShape shape{.page_latents = folder->page_latents,
                                  .sink_latents = folder->sink_latents,
                                  .window_latents = folder->window_latents};
    Rollout::Config config;
    config.sampler = folder->sampler;
    if (auto done = make_rollout(model, shape, config, options); !done) return done.error();
    return model;
}

} // namespace

Result<WalkModel> load_walk_model(const WalkOptions& options, const ComputeDevice& device) {
    WalkModel model;
    model.device = device;
    return options.model == "embedded" ? load_embedded(options, std::move(model))
                                       : load_folder(options, std::move(model));
}

Result<at::Tensor> encode_picture(const WalkModel& model, const std::filesystem::path& picture) {
    auto pixels = read_picture(picture, model.width(), model.height());
    if (!pixels) return pixels.error();
    auto encoder = load_vae(model, model.world->vae, model.world->folder / "vae.safetensors", true);
    if (!encoder) return encoder.error();
    return (*encoder)
        ->encode(pixels->to(model.device.device, model.device.compute))
        .to(at::kCPU, at::kFloat)[0]
        .contiguous();
}

} // namespace wander
