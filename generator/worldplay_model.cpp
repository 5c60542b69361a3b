// HY-WorldPlay out of its folder, made ready to walk.

#include "generator/camera/pose_json.hpp"
#include "generator/model_loading.hpp"
#include "generator/models/worldplay_folder.hpp"
#include "generator/walk_model_parts.hpp"
#include "generator/wan/vae22.hpp"
#include "generator/world/theme_starts.hpp"
#include "generator/worldplay_walk.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>

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

// Points that views are compared by: the same for every walk, so that a kept one goes on the same under any seed.
constexpr std::uint64_t kOverlapSeed = 0;

class WorldPlayLoader {
public:
    WorldPlayLoader(const WalkOptions& options, WalkModel model) : options_(options), model_(std::move(model)) {}

    Result<WalkModel> load() {
        auto folder = open_converted<WorldPlayFolder>(options_, model_);
        if (!folder) return folder.error();
        folder_ = std::move(*folder);
        if (folder_->model != WorldPlayFolder::Model::wan_5b) {
            return Error{ErrorCode::unavailable,
                         fmt::format("--model {}: {} cannot be walked yet", options_.model, folder_->name)};
        }
        if (auto done = choose_size(); !done) return done.error();
        model_.name = folder_->name;
        model_.pixels_per_latent = folder_->pixels_per_latent();
        model_.chunk_latents = kLatentsPerChunk;
        model_.fps = folder_->schedule.frames_per_second;
        for (const std::string& warning : folder_->warnings) model_.warnings.push_back(warning);
        if (auto done = load_transformer(model_, *folder_, folder_->dit, options_); !done) return done.error();
        if (auto done = load_decoder(); !done) return done.error();
        if (auto done = make_loop(); !done) return done.error();
        take_pictures();
        model_.camera_words = false;
        model_.keeps_walks = true;
        if (auto done = load_text_encoder(model_, *folder_, folder_->text, folder_->dit.text_len, options_); !done)
            return done.error();
        return std::move(model_);
    }

private:
    Result<void> choose_size() {
        LatentSize size = folder_->size;
        const int pixels = folder_->pixels_per_latent();
        if (options_.size) {
            // Two patches a latent row: 2 x 2 latents are one token.
            const int step = 2 * pixels;
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

    Result<void> load_decoder() {
        if (options_.decoder == "tiny") {
            return Error{ErrorCode::wrong_use, fmt::format("--decoder tiny: {} has none yet; use full", folder_->name)};
        }
        say_progress(options_, "reading the decoder");
        auto vae = read_vae(*folder_->part(PartKind::vae), folder_->vae, model_.device, false);
        if (!vae) return vae.error();
        model_.decoder = *vae;
        return {};
    }

    Result<void> make_loop() {
        WorldPlayRollout::Config config;
        config.schedule = folder_->schedule;
        if (options_.context_latents) {
            config.schedule.context = ContextRules::wan_5b_long(*options_.context_latents);
            if (!config.schedule.context.valid()) {
                return Error{ErrorCode::wrong_use,
                             fmt::format("--context {}: whole chunks of {} latents, at least {}",
                                         *options_.context_latents, kLatentsPerChunk, 2 * kLatentsPerChunk)};
            }
        }
        config.rows = model_.latent_rows;
        config.cols = model_.latent_cols;
        // All of the context is made in one piece, so all of it is packed when that is done.
        WalkOptions cache_options = options_;
        cache_options.cache_rules.keep_recent = 0;
        auto cache = make_cache(model_, {.page_latents = kLatentsPerChunk}, cache_options);
        if (!cache) return cache.error();
        model_.capacity.view_latents = config.schedule.context.latents + kLatentsPerChunk;
        auto rollout =
            std::make_unique<WorldPlayRollout>(model_.dit, std::move(*cache), std::move(config),
                                               make_noise(model_, options_.seed), ViewOverlap::of_seed(kOverlapSeed));
        auto path = read_path();
        if (!path) return path.error();
        model_.loop =
            std::make_shared<WorldPlayWalk>(model_.dit, std::move(rollout), SteeringRules{}, std::move(*path));
        return {};
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

    // The encoder is read when a picture comes. As published, a walk starts from a sample of what the encoder says.
    void take_pictures() {
        model_.starts = theme_starts(options_.assets);
        model_.encode_start = [part = *folder_->part(PartKind::vae), config = folder_->vae, noise = model_.noise,
                               device = model_.device](const at::Tensor& picture) -> Result<at::Tensor> {
            auto vae = read_vae(part, config, device, true);
            if (!vae) return vae.error();
            const VaeMoments moments = (*vae)->encode_stream().encode(picture.to(device.device, device.compute));
            const at::Tensor drawn = (*noise)(kPictureLatent, 0, moments.mean[0].sizes().vec());
            const at::Tensor sample = moments.sample(drawn.unsqueeze(0).to(moments.mean));
            return (*vae)->normalised(sample)[0].to(at::kCPU, at::kFloat).contiguous();
        };
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
