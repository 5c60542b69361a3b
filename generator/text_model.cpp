// A text-to-video model out of its folder, made ready to walk: transformer, decoder, text encoder, window.

#include "generator/models/convert.hpp"
#include "generator/models/converted_part.hpp"
#include "generator/models/text_video_folder.hpp"
#include "generator/plain/prompt_list.hpp"
#include "generator/text/prompt_encoder.hpp"
#include "generator/walk_model_parts.hpp"
#include "generator/wan/taehv.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace wander {

namespace {

// What an encoder on the GPU leaves for cache and activations at least.
constexpr std::int64_t kSpareBytes = std::int64_t{16} << 30;

Error at_file(const std::filesystem::path& path, const Error& error) {
    return {error.code, fmt::format("{}: {}", path.string(), error.message)};
}

class TextModelLoader {
public:
    TextModelLoader(const WalkOptions& options, WalkModel model) : options_(options), model_(std::move(model)) {}

    Result<WalkModel> load() {
        if (auto done = open_folder(); !done) return done.error();
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
        if (auto done = load_dit(); !done) return done.error();
        if (auto done = load_decoder(); !done) return done.error();
        if (auto done = make_history(); !done) return done.error();
        if (auto done = load_text(); !done) return done.error();
        return std::move(model_);
    }

private:
    void say(const std::string& doing, double share = -1, double seconds_left = -1) const {
        if (options_.progress) options_.progress({doing, share, seconds_left});
    }

    Result<void> open_folder() {
        say("reading the folder");
        auto folder = TextVideoFolder::open(options_.model);
        if (!folder) return folder.error();
        folder_ = std::move(*folder);
        if (auto ready = folder_->ready(); !ready) return ready;
        auto converted = convert_model(*folder_, [this](const ConvertProgress& now) {
            const double share =
                now.bytes_total > 0 ? static_cast<double>(now.bytes_done) / static_cast<double>(now.bytes_total) : -1;
            say(fmt::format("converting the {} (once)", part_name(now.kind)), share,
                now.seconds_left > 0 ? now.seconds_left : -1);
            return true;
        });
        if (!converted) {
            // It walks without, only slower to start.
            model_.warnings.push_back("not converted: " + converted.error().message);
            return {};
        }
        if (converted->parts.empty()) return {};
        auto again = TextVideoFolder::open(options_.model);
        if (!again) return again.error();
        folder_ = std::move(*again);
        return folder_->ready();
    }

    Result<void> check_words() const {
        if (!options_.start.empty() || options_.start_pose) {
            return Error{ErrorCode::wrong_use,
                         fmt::format("--start: {} makes a world from its text alone; leave --start out",
                                     folder_->settings.name)};
        }
        if (!options_.prompt.empty() && !has_encoder()) {
            return Error{ErrorCode::wrong_use,
                         fmt::format("--prompt: {} has no text encoder at hand, only its ready text embedding; leave "
                                     "--prompt out, or see wander info {} for the files",
                                     folder_->settings.name, options_.model)};
        }
        return {};
    }

    bool has_encoder() const { return folder_->part(PartKind::text_encoder) && folder_->part(PartKind::tokenizer); }

    Result<void> load_dit() {
        const ModelPart* part = folder_->part(PartKind::transformer);
        say("reading the transformer");
        const auto kept = options_.fp8_weights ? nn::WeightType::e4m3 : nn::WeightType::compute;
        auto dit =
            WanDit::load(folder_->settings.dit, part->source(), model_.device.device, model_.device.compute, kept);
        if (!dit) return at_file(part->path, dit.error());
        model_.dit = std::make_shared<WanDit>(std::move(*dit));
        return {};
    }

    Result<void> load_decoder() {
        const ModelPart* full = folder_->part(PartKind::vae);
        const ModelPart* tiny = folder_->part(PartKind::tiny_vae);
        const bool want_tiny = options_.decoder == "tiny" || (options_.decoder == "auto" && !full);
        const ModelPart* part = want_tiny ? tiny : full;
        if (!part) {
            std::string message = fmt::format("--decoder {}: {} has none", options_.decoder, options_.model);
            for (const MissingPart& missing : folder_->missing) {
                if (missing.kind == (want_tiny ? PartKind::tiny_vae : PartKind::vae)) message += "; " + missing.text();
            }
            return Error{ErrorCode::wrong_use, message};
        }
        say("reading the decoder");
        if (want_tiny) {
            auto taehv = Taehv::load(folder_->tiny_vae, part->source(), model_.device.device, model_.device.compute,
                                     false, true);
            if (!taehv) return at_file(part->path, taehv.error());
            model_.decoder = std::make_shared<Taehv>(std::move(*taehv));
            return {};
        }
        auto vae = WanVae::load(folder_->settings.vae, part->source(), model_.device.device, model_.device.compute,
                                false, true);
        if (!vae) return at_file(part->path, vae.error());
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
        if (!has_encoder()) {
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
        model_.prompt = options_.prompt;
        if (model_.prompt.empty()) {
            auto prompts = read_prompts(options_.assets / "prompts/prompts.json");
            if (!prompts) return prompts.error();
            model_.prompt = prompts->front().text;
        }
        return open_encoder();
    }

    Result<TextPlacement> placement() const {
        if (options_.text_encoder == "gpu") return TextPlacement::resident;
        if (options_.text_encoder == "streamed") return TextPlacement::streamed;
        if (options_.text_encoder != "auto") {
            return Error{ErrorCode::wrong_use,
                         fmt::format("--text-encoder {}: use auto, gpu or streamed", options_.text_encoder)};
        }
        const DeviceMemory memory = device_memory(model_.device.device);
        const std::int64_t bytes = folder_->part(PartKind::text_encoder)->tensors->bytes();
        const bool room = memory.total_bytes - memory.used_bytes > bytes + kSpareBytes;
        return room ? TextPlacement::resident : TextPlacement::streamed;
    }

    Result<void> open_encoder() {
        const ModelPart* part = folder_->part(PartKind::text_encoder);
        auto where = placement();
        if (!where) return where.error();
        PromptEncoderOptions open;
        open.tokenizer = folder_->part(PartKind::tokenizer)->path;
        open.config = folder_->text;
        open.source = part->source();
        auto key = source_key(part->tensors->file());
        if (!key) return key.error();
        open.weights_key = *key;
        open.device = model_.device.device;
        open.compute = model_.device.compute;
        open.placement = *where;
        open.cache_folder = default_prompt_cache_folder();
        open.max_tokens = static_cast<std::size_t>(folder_->settings.dit.text_len);
        open.progress = [this](double share) { say("reading the text encoder", share); };
        auto encoder = PromptEncoder::open(std::move(open));
        if (!encoder) return encoder.error();
        auto shared = std::make_shared<PromptEncoder>(std::move(*encoder));
        model_.prompts = std::make_shared<PromptDesk>([shared](const std::string& prompt) -> Result<EncodedPrompt> {
            auto text = shared->encode(prompt);
            if (!text) return text.error();
            std::string note = text->cache_warning;
            if (text->truncated) {
                note = fmt::format("the prompt is cut: {} tokens, this model takes {}", text->all_tokens,
                                   text->ids.size());
            }
            return EncodedPrompt{text->on_current_stream(), std::move(note)};
        });
        return {};
    }

    const WalkOptions& options_;
    WalkModel model_;
    std::optional<TextVideoFolder> folder_;
};

} // namespace

Result<WalkModel> load_text_model(const WalkOptions& options, WalkModel model) {
    if (!std::filesystem::is_directory(options.model)) {
        return Error{ErrorCode::wrong_use,
                     fmt::format("--model {}: no such folder; use embedded or a model folder", options.model)};
    }
    return TextModelLoader(options, std::move(model)).load();
}

} // namespace wander
