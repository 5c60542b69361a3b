// A text-to-video model out of its folder, made ready to walk: transformer, decoder, text encoder, window.

#include "generator/model_loading.hpp"
#include "generator/models/text_video_folder.hpp"
#include "generator/walk_model_parts.hpp"
#include "generator/wan/taehv.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace wander {

namespace {

class TextModelLoader {
public:
    TextModelLoader(const WalkOptions& options, WalkModel model) : options_(options), model_(std::move(model)) {}

    Result<WalkModel> load() {
        auto folder = open_converted<TextVideoFolder>(options_, model_);
        if (!folder) return folder.error();
        folder_ = std::move(*folder);
        if (auto done = check_words(); !done) return done.error();
        const ModelFolder& settings = folder_->settings;
        model_.name = settings.name;
        model_.camera_steering = false;
        model_.latent_rows = settings.latent_rows;
        model_.latent_cols = settings.latent_cols;
        model_.chunk_latents = options_.chunk_latents.value_or(settings.chunk_latents);
        model_.fps = settings.fps;
        model_.rebuild_on_prompt = options_.rebuild_on_prompt;
        for (const std::string& warning : folder_->warnings) model_.warnings.push_back(warning);
        if (auto done = load_transformer(model_, *folder_, settings.dit, options_); !done) return done.error();
        model_.decoders = decoders_of(*folder_);
        if (auto done = load_decoder(); !done) return done.error();
        if (auto done = make_history(); !done) return done.error();
        if (auto done = load_text(); !done) return done.error();
        return std::move(model_);
    }

private:
    Result<void> check_words() const {
        if (!options_.start.empty() || options_.start_pose) {
            return Error{ErrorCode::wrong_use,
                         fmt::format("--start: {} makes a world from its text alone; leave --start out",
                                     folder_->settings.name)};
        }
        if (!options_.prompt.empty() && !has_text_encoder(*folder_)) {
            return Error{ErrorCode::wrong_use,
                         fmt::format("--prompt: {} has no text encoder at hand, only its ready text embedding; leave "
                                     "--prompt out, or see wander info {} for the files",
                                     folder_->settings.name, options_.model)};
        }
        return {};
    }

    Result<void> load_decoder() {
        const ModelPart* full = folder_->part(PartKind::vae);
        if (options_.decoder == "tiny" || (options_.decoder == "auto" && !full))
            return load_tiny_decoder(model_, *folder_, folder_->tiny_vae, options_);
        if (!full) return no_decoder(*folder_, PartKind::vae, options_);
        say_progress(options_, "reading the decoder");
        auto vae = WanVae::load(folder_->settings.vae, full->source(), model_.device.device, model_.device.compute,
                                false, true);
        if (!vae) return at_file(full->path, vae.error());
        model_.decoder = std::make_shared<WanVae>(std::move(*vae));
        return {};
    }

    Result<void> make_history() {
        const ModelFolder& settings = folder_->settings;
        quant::CacheShape shape{.page_latents = settings.page_latents,
                                .sink_latents = settings.sink_latents,
                                .window_latents = settings.window_latents};
        Rollout::Config config;
        config.sampler = settings.sampler;
        if (options_.window) {
            if (auto fits = check_window(*options_.window, model_.chunk_latents); !fits) return fits;
            shape.sink_latents = options_.window->sink_latents;
            shape.window_latents =
                options_.window->view_latents > 0 ? options_.window->history_latents(model_.chunk_latents) : 0;
            config.slot_positions = options_.window->slot_positions;
        } else if (shape.sink_latents % model_.chunk_latents != 0) {
            return Error{ErrorCode::wrong_use,
                         fmt::format("--chunk-latents {}: the first {} latents stay, which are no whole chunks; choose "
                                     "another --window as well",
                                     model_.chunk_latents, shape.sink_latents)};
        }
        return make_causal_walk(model_, shape, std::move(config), options_);
    }

    Result<void> load_text() {
        if (!has_text_encoder(*folder_)) {
            auto text = folder_->text_embedding();
            if (!text) return text.error();
            model_.dit->set_text(*text);
            return {};
        }
        auto phrases =
            CameraPhrases::read(options_.camera_phrases.empty() ? options_.assets / "prompts/camera_phrases.json"
                                                                : options_.camera_phrases);
        if (!phrases) return phrases.error();
        model_.phrases = std::move(*phrases);
        model_.camera_words = options_.camera_words;
        return load_text_encoder(model_, *folder_, folder_->text, folder_->settings.dit.text_len, options_);
    }

    const WalkOptions& options_;
    WalkModel model_;
    std::optional<TextVideoFolder> folder_;
};

} // namespace

Result<WalkModel> load_text_model(const WalkOptions& options, WalkModel model) {
    return TextModelLoader(options, std::move(model)).load();
}

} // namespace wander
