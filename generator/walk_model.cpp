#include "generator/walk_model.hpp"

#include "generator/causal_walk.hpp"
#include "generator/models/worldplay_folder.hpp"
#include "generator/walk_model_parts.hpp"
#include "generator/world/plain/world_folder.hpp"
#include "quant/cache/frame_importance.hpp"
#include "quant/format.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <filesystem>

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

quant::CachePolicy cache_policy(const WalkOptions& options, const CacheWishes& wishes) {
    // The centroids' seed stays 0: pages shall not depend on what was walked before.
    quant::CachePolicy policy;
    static_cast<quant::CacheRules&>(policy) = options.cache_rules;
    policy.format = options.cache_format;
    policy.attention = options.attention;
    policy.tile_tokens = options.twin_tile_tokens;
    policy.centroids = options.cache_centroids;
    if (options.keep_rows) policy.kept_rows_leave = quant::kKeptRowsLeave;
    if (wishes.slice_bytes > 0) policy.slice_bytes = wishes.slice_bytes;
    policy.read_latents = wishes.read_latents;
    if (options.twin_slice_bytes > 0) policy.slice_bytes = options.twin_slice_bytes;
    return policy;
}

Result<std::unique_ptr<quant::KvCache>> make_cache(WalkModel& model, quant::CacheShape& shape,
                                                   const WalkOptions& options, const CacheWishes& wishes, int devices) {
    shape.layers = model.network.layers;
    shape.heads = model.network.heads / devices;
    shape.head_dim = model.network.head_dim;
    shape.tokens_per_latent = model.token_rows() * model.token_cols();
    auto cache =
        quant::KvCache::create(shape, cache_policy(options, wishes), model.device.device, model.device.compute);
    if (!cache) return cache.error();
    model.formats = describe_formats(shape, model.device.compute);
    model.window.sink_latents = shape.sink_latents;
    model.window.view_latents =
        shape.window_latents > 0 ? shape.sink_latents + shape.window_latents + model.chunk_latents : 0;
    model.capacity.view_latents = model.window.view_latents;
    model.capacity.sink_latents = shape.sink_latents;
    model.capacity.chunk_latents = model.chunk_latents;
    model.capacity.raw_latent_bytes = std::int64_t{2} * shape.layers * shape.heads * shape.head_dim *
                                      shape.tokens_per_latent *
                                      static_cast<std::int64_t>(c10::elementSize(model.device.compute));
    return cache;
}

NoiseSource make_noise(WalkModel& model, std::uint64_t seed) {
    model.seed = seed;
    model.noise = std::make_shared<NoiseSource>(keyed_noise(seed));
    return [source = model.noise](std::int64_t latent, int step, const std::vector<std::int64_t>& size) {
        return (*source)(latent, step, size);
    };
}

Result<void> make_causal_walk(WalkModel& model, quant::CacheShape shape, Rollout::Config config,
                              const WalkOptions& options) {
    auto cache = make_cache(model, shape, options);
    if (!cache) return cache.error();
    model.window.slot_positions = config.slot_positions;
    config.rows = model.latent_rows;
    config.cols = model.latent_cols;
    config.draw_ahead = true;
    config.keep_latents = true;
    model.keeps_walks = true;
    auto rollout =
        std::make_unique<Rollout>(model.dit, std::move(*cache), std::move(config), make_noise(model, options.seed));
    model.loop = std::make_shared<CausalWalk>(model.dit, std::move(rollout), model.world,
                                              CausalWalk::Settings{.chunk_latents = model.chunk_latents,
                                                                   .token_rows = model.token_rows(),
                                                                   .token_cols = model.token_cols(),
                                                                   .rebuild_on_text = model.rebuild_on_prompt});
    return {};
}

namespace {

Result<void> refuse_worldplay_options(const WalkOptions& options) {
    const std::pair<const char*, bool> given[] = {{"--size", options.size.has_value()},
                                                  {"--context", options.context_latents.has_value()},
                                                  {"--fast-context", options.fast_context},
                                                  {"--path", !options.path.empty()},
                                                  {"--gpus", options.gpus > 1}};
    for (const auto& [name, is_given] : given) {
        if (is_given) {
            return Error{
                ErrorCode::wrong_use,
                fmt::format("{} is for HY-WorldPlay's models; leave it out with --model {}", name, options.model)};
        }
    }
    return {};
}

} // namespace

Result<WalkModel> load_walk_model(const WalkOptions& options, const ComputeDevice& device) {
    WalkModel model;
    model.device = device;
    model.assets = options.assets;
    if (options.model == "embedded" || find_world_folder(options.model)) {
        if (auto done = refuse_worldplay_options(options); !done) return done.error();
        return load_embedded(options, std::move(model));
    }
    if (!std::filesystem::is_directory(options.model)) {
        return Error{
            ErrorCode::wrong_use,
            fmt::format("--model {}: no such folder; use embedded, a world's folder or a model folder", options.model)};
    }
    if (WorldPlayFolder::looks_like_one(options.model)) return load_worldplay_model(options, std::move(model));
    if (auto done = refuse_worldplay_options(options); !done) return done.error();
    return load_text_model(options, std::move(model));
}

} // namespace wander
