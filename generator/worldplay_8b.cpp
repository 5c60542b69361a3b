// The 8B's networks: prompt, quoted texts and start picture pass through encoders and the transformer's text side; the
// picture's latent steers latent 0, which is denoised like the others.

#include "generator/gpu_streams.hpp"
#include "generator/hunyuan/hunyuan_dit.hpp"
#include "generator/hunyuan/hunyuan_prompt_files.hpp"
#include "generator/models/kept_system_prompt.hpp"
#include "generator/text/prompt_encoder.hpp"
#include "generator/worldplay_networks.hpp"

#include <ATen/ATen.h>

namespace wander {

namespace {

// Of the encoders on the GPU, beside the context: the decoder's and the chunk's activations.
constexpr std::int64_t kActivationBytes = std::int64_t{12} << 30;

Result<std::shared_ptr<const HunyuanVae>> read_vae(const ModelPart& part, const HunyuanVaeConfig& config,
                                                   const ComputeDevice& device, bool encoder) {
    auto vae = HunyuanVae::load(config, part.source(), device.device, device.compute, encoder, !encoder);
    if (!vae) return at_file(part.path, vae.error());
    return std::shared_ptr<const HunyuanVae>(std::make_shared<HunyuanVae>(std::move(*vae)));
}

// On the GPU: this side's half of the transformer, Qwen, SigLIP and byT5, if all of that leaves room for the walk.
Result<TextPlacement> placement(const WalkModel& model, const WorldPlayFolder& folder, const WalkOptions& options) {
    std::uint64_t bytes = folder.weight_bytes(PartKind::transformer) / 2;
    for (const PartKind kind : {PartKind::text_encoder, PartKind::vision_encoder, PartKind::glyph_encoder})
        bytes += folder.weight_bytes(kind);
    // Every layer's keys and values of the context and of the chunk, uncompressed.
    const std::int64_t context = std::int64_t{folder.schedule.context.latents + kLatentsPerChunk} * 2 *
                                 model.network.layers * model.network.heads * model.network.head_dim *
                                 model.token_rows() * model.token_cols() *
                                 static_cast<std::int64_t>(c10::elementSize(model.device.compute));
    return text_placement(static_cast<std::int64_t>(bytes), context + kActivationBytes, options, model.device.device);
}

Result<HunyuanPromptSideOptions> open_encoders(const WorldPlayFolder& folder) {
    const auto instruction = kept_system_prompt_file(folder.folder);
    if (!instruction) return instruction.error();
    const ModelPart* glyph = folder.part(PartKind::glyph_encoder);
    HunyuanPromptPlaces places;
    places.text = folder.part(PartKind::text_encoder)->path.parent_path();
    places.vision = folder.part(PartKind::vision_encoder)->path.parent_path();
    if (glyph) places.glyph = glyph->path;
    places.system_prompt = *instruction;
    auto files = open_hunyuan_prompt_files(places, folder.instruction);
    if (!files) return files.error();
    HunyuanPromptSideOptions& open = files->options;
    open.tokenizer = folder.part(PartKind::tokenizer)->path.parent_path();
    const HunyuanConfig& dit = folder.hunyuan_dit;
    if (open.text.config.dim != dit.text_dim || open.vision.config.dim != dit.vision_dim ||
        (open.glyph && dit.glyph_dim > 0 && open.glyph->config.dim != dit.glyph_dim)) {
        return Error{
            ErrorCode::bad_input,
            fmt::format("{}: the encoders give {}, {} and {} numbers a token, but the transformer takes {}, {} "
                        "and {}: they are not this model's",
                        folder.folder.string(), open.text.config.dim, open.vision.config.dim,
                        open.glyph ? open.glyph->config.dim : 0, dit.text_dim, dit.vision_dim, dit.glyph_dim)};
    }
    if (dit.glyph_dim == 0) open.glyph.reset();
    return std::move(open);
}

// The GPUs of --gpus, from the first on, which read each other's memory.
Result<std::vector<std::shared_ptr<HeadSplit>>> open_split(const WalkModel& model, int heads,
                                                           const WalkOptions& options) {
    const int gpus = options.gpus, present = model.device.is_cuda() ? device_count() : 0;
    std::string reason;
    if (present < gpus)
        reason = fmt::format("there {} {} GPU{} here", present == 1 ? "is" : "are", present, present == 1 ? "" : "s");
    else if (gpus > kLatentsPerChunk || heads % gpus != 0)
        reason =
            fmt::format("its {} heads and a chunk's {} latents do not divide among so many", heads, kLatentsPerChunk);
    if (!reason.empty())
        return Error{ErrorCode::wrong_use, fmt::format("--gpus {}: {}; use fewer, or leave it out", gpus, reason)};
    std::vector<at::Device> devices;
    devices.reserve(static_cast<std::size_t>(gpus));
    for (int i = 0; i < gpus; ++i) devices.emplace_back(at::kCUDA, static_cast<c10::DeviceIndex>(i));
    return HeadSplit::open(devices);
}

// The whole transformer on each further GPU, in its own stream.
Result<HunyuanDit> load_on(at::Device device, const ModelPart& part, const HunyuanConfig& config,
                           at::ScalarType compute, nn::WeightType kept) {
    const WalkStream stream(device);
    auto dit = HunyuanDit::load(config, part.source(), device, compute, kept);
    if (!dit) return at_file(part.path, dit.error());
    return dit;
}

std::string note_of(const HunyuanText& text) {
    if (text.truncated) return fmt::format("the prompt is cut: this model takes {} tokens", text.tokens);
    if (text.quoted_truncated) return "what is quoted in the prompt is cut: it is too long to be drawn";
    if (text.glyph_missing)
        return "what is quoted in the prompt is not drawn as letters: the model folder has no glyph encoder";
    return text.cache_warning;
}

} // namespace

Result<WorldPlayNetworks> load_hunyuan_networks(WalkModel& model, const WorldPlayFolder& folder,
                                                const WalkOptions& options) {
    const ModelPart& part = *folder.part(PartKind::transformer);
    const HunyuanConfig& config = folder.hunyuan_dit;
    say_progress(options, "reading the transformer");
    const auto kept = options.fp8_weights ? nn::WeightType::e4m3 : nn::WeightType::compute;
    std::vector<std::shared_ptr<HeadSplit>> splits;
    if (options.gpus > 1) {
        auto opened = open_split(model, config.heads, options);
        if (!opened) return opened.error();
        splits = std::move(*opened);
    }
    auto dit = HunyuanDit::load(config, part.source(), model.device.device, model.device.compute, kept);
    if (!dit) return at_file(part.path, dit.error());
    std::vector<SplitRank> ranks;
    for (std::size_t rank = 0; rank < splits.size(); ++rank) {
        const at::Device device(at::kCUDA, static_cast<c10::DeviceIndex>(rank));
        if (rank > 0) say_progress(options, fmt::format("reading the transformer for GPU {}", rank));
        auto own = rank == 0 ? Result<HunyuanDit>(*dit) : load_on(device, part, config, model.device.compute, kept);
        if (!own) return own.error();
        ranks.push_back({splits[rank], std::make_shared<HunyuanDit>(own->as_rank(splits[rank])), {}});
    }
    model.network = {.layers = config.layers, .heads = config.heads, .head_dim = config.head_dim, .patch = 1};
    if (options.decoder == "tiny") {
        if (auto done = load_tiny_decoder(model, folder, folder.tiny_vae, options); !done) return done.error();
    } else {
        say_progress(options, "reading the decoder");
        auto vae = read_vae(*folder.part(PartKind::vae), folder.hunyuan_vae, model.device, false);
        if (!vae) return vae.error();
        model.decoder = *vae;
    }
    auto where = placement(model, folder, options);
    if (!where) return where.error();
    const auto load = [part, config, device = model.device]() -> Result<HunyuanTextSide> {
        auto side = HunyuanTextSide::load(config, part.source(), device.device, device.compute);
        if (!side) return at_file(part.path, side.error());
        return side;
    };
    return WorldPlayNetworks{std::make_shared<HunyuanDit>(std::move(*dit)),
                             std::make_shared<HunyuanTextPass>(load, *where == TextPlacement::resident),
                             std::move(ranks)};
}

Result<void> load_hunyuan_encoders(WalkModel& model, const WorldPlayFolder& folder, const WalkOptions& options,
                                   WorldPlayText& text) {
    if (auto done = choose_prompt(model, options); !done) return done;
    say_progress(options, "reading the transformer's text side");
    if (auto done = text.warm_up(); !done) return done;
    auto open = open_encoders(folder);
    if (!open) return open.error();
    open->device = model.device.device;
    open->compute = model.device.compute;
    if (model.device.is_cuda()) {
        open->text.compute = at::kHalf; // as published
        if (open->glyph) open->glyph->compute = at::kFloat;
    }
    open->placement = text.resident() ? TextPlacement::resident : TextPlacement::streamed;
    open->cache_folder = default_prompt_cache_folder();
    open->progress = [&options](double share) { say_progress(options, "reading the text encoder", share); };
    const SiglipConfig& vision = open->vision.config;
    model.view_size = {vision.patches(), vision.dim};
    auto opened = HunyuanPromptSide::open(std::move(*open));
    if (!opened) return opened.error();
    auto side = std::make_shared<HunyuanPromptSide>(std::move(*opened));
    model.prompts = std::make_shared<PromptDesk>([side](const std::string& prompt) -> Result<EncodedPrompt> {
        auto encoded = side->encode_text(prompt);
        if (!encoded) return encoded.error();
        encoded->use_on_current_stream();
        return EncodedPrompt{encoded->states, note_of(*encoded), encoded->glyph};
    });
    model.needs_picture = true;
    // The VAE's encoder is read when a picture comes.
    model.encode_picture =
        [side, part = *folder.part(PartKind::vae), config = folder.hunyuan_vae, device = model.device,
         size = PictureSize{model.width(), model.height()}](const Picture& picture) -> Result<WalkStart> {
        auto seen = side->encode_picture(picture, size);
        if (!seen) return seen.error();
        auto vae = read_vae(part, config, device, true);
        if (!vae) return vae.error();
        const at::Tensor cond = hunyuan_cond(**vae, seen->cropped, device.device);
        WalkStart start;
        start.latent = cond[0].to(at::kCPU, at::kFloat).contiguous();
        start.view = seen->vision.to(at::kCPU, at::kFloat).contiguous();
        return start;
    };
    return {};
}

} // namespace wander
