#include "generator/hunyuan/hunyuan_prompt_side.hpp"

#include "generator/errors.hpp"
#include "generator/plain/sha256.hpp"
#include "generator/text/byt5_encoder.hpp"
#include "generator/text/plain/glyph_text.hpp"
#include "generator/text/prompt_cache.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <utility>

namespace wander {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point begin) {
    return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

c10::Stream current_stream(at::Device device) { return c10::impl::VirtualGuardImpl(device.type()).getStream(device); }

void record_on_current_stream(const at::Tensor& tensor) {
    if (tensor.defined() && tensor.is_cuda()) tensor.record_stream(current_stream(tensor.device()));
}

std::string hash_of(const at::Tensor& dense) {
    Sha256 sha;
    sha.update({static_cast<const std::uint8_t*>(dense.const_data_ptr()), dense.nbytes()});
    return sha.hex();
}

Error no_weights(const char* what, const char* encoder) {
    return {ErrorCode::unavailable,
            fmt::format("{} was never encoded on this machine, and the weights of the {} are not there: add them to "
                        "the model folder, or take one used before",
                        what, encoder)};
}

Result<void> check_ids(const std::vector<int>& ids, int rows, const std::string& encoder) {
    const int largest = *std::max_element(ids.begin(), ids.end());
    if (largest < rows) return {};
    return Error{ErrorCode::bad_input,
                 fmt::format("token {} has no row in the table of the {} ({} rows): tokenizer and weights do not "
                             "belong together",
                             largest, encoder, rows)};
}

} // namespace

void HunyuanText::use_on_current_stream() const {
    record_on_current_stream(states);
    record_on_current_stream(glyph);
}

void HunyuanPicture::use_on_current_stream() const {
    record_on_current_stream(vision);
    record_on_current_stream(cond);
}

struct HunyuanPromptSide::State {
    State(BytePairTokenizer opened, HunyuanPromptSideOptions given)
        : tokenizer(std::move(opened)), options(std::move(given)), cache(options.cache_folder, options.cache_bytes) {}

    BytePairTokenizer tokenizer;
    HunyuanPromptSideOptions options;
    PromptCache cache;
    std::optional<QwenTextEncoder> text;
    std::optional<Umt5Encoder> glyph;
    std::optional<SiglipVision> vision;
    std::mutex mutex; // one encode at a time

    Result<void> load_encoders();
    // What one part gives for one input, from the cache or by `encode`; [rows, dim] on the device.
    struct Wanted {
        std::string key;
        std::int64_t rows = 0;
        std::int64_t dim = 0;
        const char* what = nullptr; // "this prompt"
        const char* encoder = nullptr;
        std::function<at::Tensor()> encode; // empty: no weights
    };
    struct Got {
        at::Tensor tensor;
        bool from_cache = false;
        std::string cache_warning;
    };
    Result<Got> find_or_encode(const Wanted& wanted) const;
    template <typename Config>
    at::ScalarType compute_of(const HunyuanEncoderPart<Config>& part) const {
        return part.compute.value_or(options.compute);
    }
    // `detail`: what else than weights, device, type and ids the values depend on.
    template <typename Config>
    std::string key(const char* network, const HunyuanEncoderPart<Config>& part, const std::string& detail,
                    const std::vector<int>& ids) const {
        return PromptCache::key(network + std::string(" ") + part.weights_key,
                                PromptCache::computed_by(options.device, compute_of(part)) + " " + detail, ids);
    }
    Result<void> encode_text(const ChatTokens& chat, HunyuanText& result) const;
    Result<void> encode_glyph(HunyuanText& result) const;
    Result<void> encode_vision(const Picture& picture, HunyuanPicture& result) const;
};

Result<void> HunyuanPromptSide::State::load_encoders() {
    // Glyph and vision are a few percent of the whole.
    const auto& o = options;
    if (o.glyph && o.glyph->source) {
        auto loaded = Umt5Encoder::load(o.glyph->config, o.glyph->source, o.device, compute_of(*o.glyph), o.placement);
        if (!loaded) return loaded.error();
        glyph = std::move(*loaded);
    }
    if (o.vision.source) {
        auto loaded = SiglipVision::load(o.vision.config, o.vision.source, o.device, compute_of(o.vision), o.placement);
        if (!loaded) return loaded.error();
        vision = std::move(*loaded);
    }
    if (o.text.source) {
        auto loaded =
            QwenTextEncoder::load(o.text.config, o.text.source, o.device, compute_of(o.text), o.placement, o.progress);
        if (!loaded) return loaded.error();
        text = std::move(*loaded);
    }
    return {};
}

Result<HunyuanPromptSide::State::Got> HunyuanPromptSide::State::find_or_encode(const Wanted& wanted) const {
    Got got;
    auto found = cache.find(wanted.key, wanted.rows, wanted.dim);
    got.from_cache = found.has_value();
    if (!found) {
        if (!wanted.encode) return no_weights(wanted.what, wanted.encoder);
        found = wanted.encode().to(at::kCPU, at::kBFloat16);
        if (auto stored = cache.store(wanted.key, *found); !stored) got.cache_warning = stored.error().message;
    }
    got.tensor = found->to(options.device, options.compute);
    return got;
}

Result<void> HunyuanPromptSide::State::encode_text(const ChatTokens& chat, HunyuanText& result) const {
    const QwenTextConfig& config = options.text.config;
    if (auto fits = check_ids(chat.ids, config.vocab, "text encoder"); !fits) return fits;
    Wanted wanted{key("qwen text", options.text, fmt::format("crop {}", chat.crop), chat.ids),
                  std::ssize(chat.ids) - static_cast<std::int64_t>(chat.crop),
                  config.dim,
                  "this prompt",
                  "text encoder (Qwen2.5-VL)",
                  {}};
    if (text) wanted.encode = [&] { return text->encode(chat.ids, chat.crop); };
    auto got = find_or_encode(wanted);
    if (!got) return got.error();
    result.states = got->tensor;
    result.from_cache = got->from_cache;
    result.cache_warning = got->cache_warning;
    result.tokens = static_cast<std::size_t>(wanted.rows);
    return {};
}

Result<void> HunyuanPromptSide::State::encode_glyph(HunyuanText& result) const {
    const std::int64_t width = options.glyph ? options.glyph->config.dim : byt5_small().dim;
    result.glyph = at::zeros({0, width}, at::TensorOptions(options.device).dtype(options.compute));
    result.glyph_missing = !result.quoted.empty() && !options.glyph;
    if (result.quoted.empty() || !options.glyph) return {};
    const ByT5Tokens tokens = byt5_tokens(glyph_line(result.quoted), options.max_glyph_tokens);
    result.quoted_truncated = tokens.truncated;
    if (auto fits = check_ids(tokens.ids, options.glyph->config.vocab, "glyph encoder"); !fits) return fits;
    Wanted wanted{key("glyph", *options.glyph, "", tokens.ids),
                  std::ssize(tokens.ids),
                  width,
                  "the quoted text of this prompt",
                  "glyph encoder (byT5)",
                  {}};
    if (glyph) wanted.encode = [&] { return glyph->encode(tokens.ids); };
    auto got = find_or_encode(wanted);
    if (!got) return got.error();
    result.glyph = got->tensor;
    result.from_cache = result.from_cache && got->from_cache;
    if (result.cache_warning.empty()) result.cache_warning = got->cache_warning;
    return {};
}

Result<void> HunyuanPromptSide::State::encode_vision(const Picture& picture, HunyuanPicture& result) const {
    const SiglipConfig& config = options.vision.config;
    const at::Tensor pixels = siglip_pixels(picture, config.image);
    Wanted wanted{key("siglip", options.vision, hash_of(pixels), {}),
                  config.patches(),
                  config.dim,
                  "this picture",
                  "picture encoder (SigLIP)",
                  {}};
    if (vision) wanted.encode = [&] { return vision->encode(pixels); };
    auto got = find_or_encode(wanted);
    if (!got) return got.error();
    result.vision = got->tensor;
    result.from_cache = got->from_cache;
    result.cache_warning = got->cache_warning;
    return {};
}

at::Tensor hunyuan_cond(const HunyuanVae& vae, const Picture& cropped, at::Device device) {
    const at::Tensor levels = at::empty({1, cropped.size.height, cropped.size.width, 3}, at::kByte);
    std::copy(cropped.rgb.begin(), cropped.rgb.end(), levels.data_ptr<std::uint8_t>());
    const at::Tensor pixels = (levels.to(device).permute({0, 3, 1, 2}).to(at::kFloat).contiguous() / 127.5 - 1.0);
    CausalEncodeStream stream = vae.encode_stream();
    at::Tensor cond = vae.scaled(stream.encode(pixels).mean);
    if (device.is_cuda()) current_stream(device).synchronize();
    return cond;
}

HunyuanPromptSide::HunyuanPromptSide(std::unique_ptr<State> state) : state_(std::move(state)) {}
HunyuanPromptSide::HunyuanPromptSide(HunyuanPromptSide&&) noexcept = default;
HunyuanPromptSide& HunyuanPromptSide::operator=(HunyuanPromptSide&&) noexcept = default;
HunyuanPromptSide::~HunyuanPromptSide() = default;

Result<HunyuanPromptSide> HunyuanPromptSide::open(HunyuanPromptSideOptions options) {
    auto tokenizer = BytePairTokenizer::open(options.tokenizer);
    if (!tokenizer) return tokenizer.error();
    auto state = std::make_unique<State>(std::move(*tokenizer), std::move(options));
    HunyuanPromptSideOptions& kept = state->options;
    // Instruction and tokenizer are tried before gigabytes are read.
    auto tried = hunyuan_chat(state->tokenizer, kept.system_prompt, "", kept.max_tokens, kept.mark);
    if (!tried) return tried.error();
    if (auto fits = check_ids(tried->ids, kept.text.config.vocab, "text encoder"); !fits) return fits.error();
    try {
        if (auto loaded = state->load_encoders(); !loaded) return loaded.error();
    } catch (...) {
        return current_exception_as_error("loading the encoders of prompt and picture");
    }
    // What they hold open is the encoders' now; the progress is the caller's, who may be gone.
    kept.text.source = {};
    kept.vision.source = {};
    if (kept.glyph) kept.glyph->source = {};
    kept.progress = {};
    return HunyuanPromptSide(std::move(state));
}

Result<HunyuanText> HunyuanPromptSide::encode_text(std::string_view prompt) {
    const auto begin = Clock::now();
    const c10::InferenceMode inference;
    const auto& options = state_->options;
    const auto chat = hunyuan_chat(state_->tokenizer, options.system_prompt, prompt, options.max_tokens, options.mark);
    if (!chat) return chat.error();
    HunyuanText result;
    result.truncated = chat->truncated;
    result.quoted = quoted_texts(prompt);
    try {
        const std::lock_guard lock(state_->mutex);
        if (auto done = state_->encode_text(*chat, result); !done) return done.error();
        if (auto done = state_->encode_glyph(result); !done) return done.error();
    } catch (...) {
        return current_exception_as_error("encoding the prompt");
    }
    result.ms = ms_since(begin);
    return result;
}

Result<HunyuanPicture> HunyuanPromptSide::encode_picture(const Picture& picture, PictureSize size) {
    const auto begin = Clock::now();
    const c10::InferenceMode inference;
    const auto& vae = state_->options.vae;
    const int cell = vae ? vae->config().spatial_scale() : 1;
    if (size.width <= 0 || size.height <= 0 || size.width % cell != 0 || size.height % cell != 0) {
        return Error{ErrorCode::wrong_use,
                     fmt::format("a video of {} x {} pixels: both sides have to be multiples of {}", size.width,
                                 size.height, cell)};
    }
    if (picture.size.width <= 0 || picture.size.height <= 0) {
        return Error{ErrorCode::bad_input, "the start picture has no pixels; use another one"};
    }
    HunyuanPicture result;
    try {
        const std::lock_guard lock(state_->mutex);
        result.cropped = cover_and_crop(picture, size);
        if (auto done = state_->encode_vision(picture, result); !done) return done.error();
        if (vae) result.cond = hunyuan_cond(*vae, result.cropped, state_->options.device);
    } catch (...) {
        return current_exception_as_error("encoding the start picture");
    }
    result.ms = ms_since(begin);
    return result;
}

} // namespace wander
