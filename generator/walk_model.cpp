#include "generator/walk_model.hpp"

#include "generator/walk_model_parts.hpp"
#include "quant/cache/frame_importance.hpp"
#include "quant/format.hpp"

#include <ATen/ATen.h>

namespace wander {

namespace {

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

} // namespace

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
    policy.centroids = options.cache_centroids;
    if (options.twin_slice_bytes > 0) policy.slice_bytes = options.twin_slice_bytes;
    auto cache = quant::KvCache::create(shape, policy, model.device.device, model.device.compute);
    if (!cache) return cache.error();
    model.formats = describe_formats(shape, model.device.compute);
    model.window.sink_latents = shape.sink_latents;
    model.window.view_latents =
        shape.window_latents > 0 ? shape.sink_latents + shape.window_latents + model.chunk_latents : 0;
    model.window.slot_positions = config.slot_positions;
    model.capacity.view_latents = model.window.view_latents;
    model.capacity.sink_latents = shape.sink_latents;
    model.capacity.chunk_latents = model.chunk_latents;
    model.capacity.raw_latent_bytes = std::int64_t{2} * shape.layers * shape.heads * shape.head_dim *
                                      shape.tokens_per_latent *
                                      static_cast<std::int64_t>(c10::elementSize(model.device.compute));
    config.keep_latents = model.rebuild_on_prompt;
    model.noise = std::make_shared<NoiseSource>(keyed_noise(options.seed));
    const auto draw = [source = model.noise](std::int64_t latent, int step, const std::vector<std::int64_t>& size) {
        return (*source)(latent, step, size);
    };
    model.rollout = std::make_shared<Rollout>(model.dit, std::move(*cache), std::move(config), draw);
    return {};
}

Result<WalkModel> load_walk_model(const WalkOptions& options, const ComputeDevice& device) {
    WalkModel model;
    model.device = device;
    return options.model == "embedded" ? load_embedded(options, std::move(model))
                                       : load_text_model(options, std::move(model));
}

} // namespace wander
