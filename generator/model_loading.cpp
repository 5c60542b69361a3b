#include "generator/model_loading.hpp"

#include "generator/models/converted_part.hpp"
#include "generator/plain/prompt_list.hpp"
#include "generator/text/prompt_encoder.hpp"

namespace wander {

namespace {

// What an encoder on the GPU leaves for cache and activations at least.
constexpr std::int64_t kSpareBytes = std::int64_t{16} << 30;

} // namespace

Result<TextPlacement> text_placement(std::int64_t bytes, std::int64_t spare_bytes, const WalkOptions& options,
                                     at::Device device) {
    if (options.text_encoder == "gpu") return TextPlacement::resident;
    if (options.text_encoder == "streamed") return TextPlacement::streamed;
    if (options.text_encoder != "auto") {
        return Error{ErrorCode::wrong_use,
                     fmt::format("--text-encoder {}: use auto, gpu or streamed", options.text_encoder)};
    }
    const DeviceMemory memory = device_memory(device);
    const bool room = memory.total_bytes - memory.used_bytes > bytes + spare_bytes;
    return room ? TextPlacement::resident : TextPlacement::streamed;
}

namespace {

Result<EncodedPrompt> encode(PromptEncoder& encoder, const std::string& prompt) {
    auto text = encoder.encode(prompt);
    if (!text) return text.error();
    std::string note = text->cache_warning;
    if (text->truncated)
        note = fmt::format("the prompt is cut: {} tokens, this model takes {}", text->all_tokens, text->ids.size());
    return EncodedPrompt{text->on_current_stream(), std::move(note)};
}

} // namespace

Error at_file(const std::filesystem::path& path, const Error& error) {
    return {error.code, fmt::format("{}: {}", path.string(), error.message)};
}

std::vector<std::string> decoders_of(const ModelFiles& files) {
    std::vector<std::string> names;
    if (files.part(PartKind::vae)) names.emplace_back("full");
    if (files.part(PartKind::tiny_vae)) names.emplace_back("tiny");
    return names;
}

Error no_decoder(const ModelFiles& files, PartKind kind, const WalkOptions& options) {
    std::string message = fmt::format("--decoder {}: {} has none", options.decoder, files.folder.string());
    for (const MissingPart& missing : files.missing) {
        if (missing.kind == kind) message += "; " + missing.text();
    }
    return {ErrorCode::wrong_use, message};
}

Result<void> load_tiny_decoder(WalkModel& model, const ModelFiles& files, const TaehvConfig& config,
                               const WalkOptions& options) {
    const ModelPart* part = files.part(PartKind::tiny_vae);
    if (!part) return no_decoder(files, PartKind::tiny_vae, options);
    say_progress(options, "reading the decoder");
    auto taehv = Taehv::load(config, part->source(), model.device.device, model.device.compute, false, true);
    if (!taehv) return at_file(part->path, taehv.error());
    model.decoder = std::make_shared<Taehv>(std::move(*taehv));
    return {};
}

bool convert_once(const ModelFiles& files, const WalkOptions& options, WalkModel& model) {
    auto converted = convert_model(files, [&options](const ConvertProgress& now) {
        const double share =
            now.bytes_total > 0 ? static_cast<double>(now.bytes_done) / static_cast<double>(now.bytes_total) : -1;
        say_progress(options, fmt::format("converting the {} (once)", part_name(now.kind)), share,
                     now.seconds_left > 0 ? now.seconds_left : -1);
        return true;
    });
    if (!converted) {
        model.warnings.push_back("not converted: " + converted.error().message);
        return false;
    }
    return !converted->parts.empty();
}

bool has_text_encoder(const ModelFiles& files) {
    return files.part(PartKind::text_encoder) && files.part(PartKind::tokenizer);
}

Result<void> load_transformer(WalkModel& model, const ModelFiles& files, const DitConfig& config,
                              const WalkOptions& options) {
    const ModelPart* part = files.part(PartKind::transformer);
    say_progress(options, "reading the transformer");
    const auto kept = options.fp8_weights ? nn::WeightType::e4m3 : nn::WeightType::compute;
    auto dit = WanDit::load(config, part->source(), model.device.device, model.device.compute, kept);
    if (!dit) return at_file(part->path, dit.error());
    model.take_dit(std::make_shared<WanDit>(std::move(*dit)));
    return {};
}

Result<void> choose_prompt(WalkModel& model, const WalkOptions& options) {
    model.prompt = options.prompt;
    if (!model.prompt.empty()) return {};
    auto prompts = read_prompts(options.assets / "prompts/prompts.json");
    if (!prompts) return prompts.error();
    model.prompt = prompts->front().text;
    return {};
}

Result<void> load_text_encoder(WalkModel& model, const ModelFiles& files, const Umt5Config& config, int max_tokens,
                               const WalkOptions& options) {
    if (auto done = choose_prompt(model, options); !done) return done;
    const ModelPart* part = files.part(PartKind::text_encoder);
    auto where =
        text_placement(static_cast<std::int64_t>(part->tensors->bytes()), kSpareBytes, options, model.device.device);
    if (!where) return where.error();
    PromptEncoderOptions open;
    open.tokenizer = files.part(PartKind::tokenizer)->path;
    open.config = config;
    open.source = part->source();
    auto key = source_key(part->tensors->file());
    if (!key) return key.error();
    open.weights_key = *key;
    open.device = model.device.device;
    open.compute = model.device.compute;
    open.placement = *where;
    open.cache_folder = default_prompt_cache_folder();
    open.max_tokens = static_cast<std::size_t>(max_tokens);
    open.progress = [&options](double share) { say_progress(options, "reading the text encoder", share); };
    auto encoder = PromptEncoder::open(std::move(open));
    if (!encoder) return encoder.error();
    auto shared = std::make_shared<PromptEncoder>(std::move(*encoder));
    model.prompts =
        std::make_shared<PromptDesk>([shared](const std::string& prompt) { return encode(*shared, prompt); });
    return {};
}

} // namespace wander
