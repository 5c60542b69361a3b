// HY-WorldPlay out of its folder, made ready to walk.

#include "generator/camera/pose_json.hpp"
#include "generator/rollout/published_store.hpp"
#include "generator/walk_model_parts.hpp"
#include "generator/world/theme_starts.hpp"
#include "generator/worldplay_networks.hpp"
#include "generator/worldplay_walk.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

namespace wander {

namespace {

// Fast context: latents whose keys and values stay, in contexts. Clips are found among them.
constexpr int kFastWindow = 2;
// Points that views are compared by: the same for every walk, so that a kept one goes on the same under any seed.
constexpr std::uint64_t kOverlapSeed = 0;
// WAN-5B's context as Quant-VideoGen keeps it: to a person a format of the cache, here a store of the roll-out's own.
constexpr std::string_view kPublishedCache = "qvg-published";

class WorldPlayLoader {
public:
    WorldPlayLoader(const WalkOptions& options, WalkModel model) : options_(options), model_(std::move(model)) {}

    Result<WalkModel> load() {
        auto folder = open_converted<WorldPlayFolder>(options_, model_);
        if (!folder) return folder.error();
        folder_ = std::move(*folder);
        const bool wan = folder_->model == WorldPlayFolder::Model::wan_5b;
        // Before the transformer, which takes minutes.
        if (options_.decoder == "tiny" && !folder_->part(PartKind::tiny_vae))
            return no_decoder(*folder_, PartKind::tiny_vae, options_);
        if (wan && options_.gpus > 1) {
            return Error{ErrorCode::wrong_use,
                         fmt::format("--gpus {}: HY-WorldPlay's 8B alone is split over several GPUs; leave it out with "
                                     "--model {}",
                                     options_.gpus, options_.model)};
        }
        if (auto done = choose_size(); !done) return done.error();
        model_.name = folder_->name;
        model_.decoders = decoders_of(*folder_);
        model_.pixels_per_latent = folder_->pixels_per_latent();
        model_.chunk_latents = kLatentsPerChunk;
        model_.fps = folder_->schedule.frames_per_second;
        for (const std::string& warning : folder_->warnings) model_.warnings.push_back(warning);
        auto networks =
            wan ? load_wan_5b_networks(model_, *folder_, options_) : load_hunyuan_networks(model_, *folder_, options_);
        if (!networks) return networks.error();
        if (auto done = make_loop(*networks); !done) return done.error();
        model_.starts = theme_starts(options_.assets);
        model_.camera_words = false;
        model_.keeps_walks = true;
        auto encoders = wan ? load_wan_5b_encoders(model_, *folder_, options_)
                            : load_hunyuan_encoders(model_, *folder_, options_, *networks->text);
        if (!encoders) return encoders.error();
        return std::move(model_);
    }

private:
    Result<void> choose_size() {
        LatentSize size = folder_->size;
        const int pixels = folder_->pixels_per_latent();
        if (options_.size) {
            const int step = folder_->patch() * pixels; // whole tokens
            if (options_.size->width % step != 0 || options_.size->height % step != 0) {
                return Error{ErrorCode::wrong_use, fmt::format("--size {}x{}: both sides must be multiples of {}",
                                                               options_.size->width, options_.size->height, step)};
            }
            size = {options_.size->height / pixels, options_.size->width / pixels};
        }
        model_.latent_rows = size.rows;
        model_.latent_cols = size.cols;
        return {};
    }

    Result<void> make_loop(const WorldPlayNetworks& networks) {
        WorldPlayRollout::Config config;
        config.schedule = folder_->schedule;
        auto rules = choose_context();
        if (!rules) return rules.error();
        config.schedule.context = *rules;
        config.rows = model_.latent_rows;
        config.cols = model_.latent_cols;
        WalkOptions cache_options = options_;
        quant::CacheShape shape{.page_latents = kLatentsPerChunk};
        const ContextRules& context = config.schedule.context;
        config.fast_context = model_.context.fast;
        if (config.fast_context) {
            shape.sink_latents = context.anchor;
            shape.window_latents = kFastWindow * context.latents;
        } else {
            // All of the context is made in one piece, so all of it is packed when that is done.
            cache_options.cache_rules.keep_recent = 0;
        }
        const bool as_published =
            folder_->model == WorldPlayFolder::Model::wan_5b && options_.cache_format == kPublishedCache;
        if (as_published) {
            if (auto done = keep_as_published(config, cache_options); !done) return done;
        }
        const int devices = std::max(1, static_cast<int>(networks.ranks.size()));
        const CacheWishes wishes{kWorldPlaySliceBytes, config.fast_context ? context.latents : 0};
        auto cache = make_cache(model_, shape, cache_options, wishes, devices);
        if (!cache) return cache.error();
        if (as_published) refuse_other_formats();
        if (!config.fast_context) model_.capacity.view_latents = context.latents + kLatentsPerChunk;
        const NoiseSource noise = make_noise(model_, options_.seed);
        const ViewOverlap overlap = ViewOverlap::of_seed(kOverlapSeed);
        std::unique_ptr<WorldPlayRollout> rollout;
        if (devices > 1) {
            const auto ranks =
                with_caches(networks.ranks, std::move(*cache), shape, cache_policy(cache_options, wishes));
            rollout = std::make_unique<SplitRollout>(ranks, config, noise, overlap);
        } else {
            rollout =
                std::make_unique<WorldPlayRollout>(networks.net, std::move(*cache), std::move(config), noise, overlap);
        }
        auto path = read_path();
        if (!path) return path.error();
        model_.loop =
            std::make_shared<WorldPlayWalk>(networks.text, std::move(rollout), SteeringRules{}, std::move(*path));
        return {};
    }

    // The first rank has its cache already.
    std::vector<SplitRank> with_caches(std::vector<SplitRank> ranks, std::unique_ptr<quant::KvCache> first,
                                       const quant::CacheShape& shape, const quant::CachePolicy& policy) const {
        const auto held = std::make_shared<std::unique_ptr<quant::KvCache>>(std::move(first));
        ranks.front().cache = [held] { return std::move(*held); };
        for (std::size_t rank = 1; rank < ranks.size(); ++rank) {
            quant::CachePolicy own = policy;
            own.first_head = static_cast<int>(rank) * shape.heads;
            ranks[rank].cache = [own, shape, device = ranks[rank].net->device(), compute = model_.device.compute] {
                auto cache = quant::KvCache::create(shape, own, device, compute);
                TORCH_CHECK(cache, cache ? "" : cache.error().message);
                return std::move(*cache);
            };
        }
        return ranks;
    }

    // The parity mode: the cache itself holds one pass at a time, uncompressed.
    Result<void> keep_as_published(WorldPlayRollout::Config& config, WalkOptions& cache_options) const {
        const PublishedCodec codec;
        std::string reason;
        if (model_.device.is_cuda()) reason = "is for comparisons on the CPU; use --device cpu, or int2";
        if (config.fast_context) reason = "and --fast-context are two ways to keep a context; leave one out";
        if (!options_.cache_rules.layer_formats.empty()) reason = "packs all layers alike; leave out --cache-layers";
        if (2 * model_.network.head_dim % codec.block != 0)
            reason = fmt::format("needs heads of a multiple of {} channels", codec.block / 2);
        if (!reason.empty()) return Error{ErrorCode::wrong_use, fmt::format("--cache {} {}", kPublishedCache, reason)};
        config.published_store = std::make_shared<PublishedStore>(published_packer(codec));
        cache_options.cache_format = "bf16";
        return {};
    }

    void refuse_other_formats() {
        for (FormatInfo& format : model_.formats) {
            if (format.name == "bf16") continue;
            format.refusal = fmt::format("this walk's context is kept as --cache {} says, to its end", kPublishedCache);
            format.ratio = 0;
        }
    }

    // As published, as asked for, or, of a saved walk, as it was walked: under another context it would be another
    // walk.
    Result<ContextRules> choose_context() {
        const ContextRules& published = folder_->schedule.context;
        const ContextSettings asked = {options_.context_latents.value_or(published.latents), options_.fast_context};
        model_.context = asked;
        model_.published_context = published.latents;
        if (!options_.resume.empty()) {
            auto saved = saved_walk_settings(options_.resume);
            if (!saved) return saved.error();
            if (saved->model == folder_->name && saved->context.latents > 0) model_.context = saved->context;
        }
        if (model_.context != asked) {
            model_.warnings.push_back(fmt::format("{} was walked with {}{} and goes on so", options_.resume.string(),
                                                  context_text(model_.context),
                                                  model_.context.fast ? "" : ", without --fast-context,"));
        }
        const int latents = model_.context.latents;
        const bool wan = folder_->model == WorldPlayFolder::Model::wan_5b;
        model_.contexts = wan ? std::vector<int>{16, 32, 48, 56} : std::vector<int>{12, 20, 28, 36};
        model_.contexts.push_back(latents);
        model_.contexts.push_back(published.latents);
        std::ranges::sort(model_.contexts);
        const auto doubled = std::ranges::unique(model_.contexts);
        model_.contexts.erase(doubled.begin(), doubled.end());
        if (latents == published.latents) return published;
        const ContextRules rules = wan ? ContextRules::wan_5b_long(latents) : ContextRules::worldplay_8b_of(latents);
        if (rules.valid()) return rules;
        return Error{ErrorCode::wrong_use, fmt::format("--context {}: whole chunks of {} latents, at least {}", latents,
                                                       kLatentsPerChunk, rules.anchor + rules.clip + kLatentsPerChunk)};
    }

    Result<std::vector<LatentCamera>> read_path() const {
        if (options_.path.empty()) return std::vector<LatentCamera>{};
        std::error_code ignored;
        if (std::filesystem::is_regular_file(options_.path, ignored)) return read_pose_json(options_.path);
        if (options_.path.ends_with(".json")) {
            return Error{ErrorCode::bad_input, fmt::format("--path {}: there is no such file", options_.path)};
        }
        auto cameras = cameras_from_pose_string(options_.path);
        if (!cameras) return Error{cameras.error().code, "--path: " + cameras.error().message};
        return cameras;
    }

    const WalkOptions& options_;
    WalkModel model_;
    std::optional<WorldPlayFolder> folder_;
};

} // namespace

Result<WalkModel> load_worldplay_model(const WalkOptions& options, WalkModel model) {
    return WorldPlayLoader(options, std::move(model)).load();
}

} // namespace wander
