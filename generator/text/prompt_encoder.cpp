#include "generator/text/prompt_encoder.hpp"

#include "generator/errors.hpp"
#include "generator/plain/user_cache.hpp"
#include "generator/text/plain/unigram_tokenizer.hpp"
#include "generator/text/prompt_cache.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <fmt/format.h>

#include <chrono>
#include <mutex>
#include <optional>
#include <utility>

namespace wander {

struct PromptEncoder::State {
    State(PromptTokenizer opened, PromptEncoderOptions given)
        : tokenizer(std::move(opened)), options(std::move(given)), cache(options.cache_folder, options.cache_bytes) {}

    PromptTokenizer tokenizer;
    PromptEncoderOptions options;
    PromptCache cache;
    std::optional<Umt5Encoder> encoder;
    std::mutex mutex; // one prompt at a time

    // [L, dim] bf16 on the CPU.
    Result<at::Tensor> find_or_encode(TextEmbedding& result);
};

PromptEncoder::PromptEncoder(std::unique_ptr<State> state) : state_(std::move(state)) {}
PromptEncoder::PromptEncoder(PromptEncoder&&) noexcept = default;
PromptEncoder& PromptEncoder::operator=(PromptEncoder&&) noexcept = default;
PromptEncoder::~PromptEncoder() = default;

Result<PromptEncoder> PromptEncoder::open(PromptEncoderOptions options) {
    auto tokenizer = PromptTokenizer::open(options.tokenizer);
    if (!tokenizer) return tokenizer.error();
    auto state = std::make_unique<State>(std::move(*tokenizer), std::move(options));
    PromptEncoderOptions& kept = state->options;
    if (const int pieces = state->tokenizer.unigram().size(); pieces > kept.config.vocab) {
        return Error{ErrorCode::bad_input,
                     fmt::format("{}: has {} pieces, but the text encoder has rows for {}: they do not belong together",
                                 kept.tokenizer.string(), pieces, kept.config.vocab)};
    }
    if (kept.source) {
        try {
            auto encoder =
                Umt5Encoder::load(kept.config, kept.source, kept.device, kept.compute, kept.placement, kept.progress);
            if (!encoder) return encoder.error();
            state->encoder = std::move(*encoder);
        } catch (...) {
            return current_exception_as_error("loading the text encoder");
        }
        kept.source = {};   // what it holds open is the encoder's now
        kept.progress = {}; // the caller's, who may be gone
    }
    return PromptEncoder(std::move(state));
}

Result<at::Tensor> PromptEncoder::State::find_or_encode(TextEmbedding& result) {
    const auto tokens = static_cast<std::int64_t>(result.ids.size());
    const std::string key =
        PromptCache::key(options.weights_key, PromptCache::computed_by(options.device, options.compute), result.ids);
    if (auto found = cache.find(key, tokens, options.config.dim)) {
        result.from_cache = true;
        return std::move(*found);
    }
    if (!encoder) {
        return Error{ErrorCode::unavailable,
                     "this prompt was never encoded on this machine, and the text encoder's weights are not there: "
                     "add them to the model folder, or take a prompt used before"};
    }
    for (const int id : result.ids) {
        if (id >= options.config.vocab) {
            return Error{ErrorCode::bad_input,
                         fmt::format("{}: token {} has no row in the text encoder", options.tokenizer.string(), id)};
        }
    }
    at::Tensor embedding = encoder->encode(result.ids).to(at::kCPU, at::kBFloat16);
    if (auto stored = cache.store(key, embedding); !stored) result.cache_warning = stored.error().message;
    return embedding;
}

Result<TextEmbedding> PromptEncoder::encode(std::string_view prompt) {
    const auto begin = std::chrono::steady_clock::now();
    const c10::InferenceMode inference;
    const TokenizedPrompt tokens = describe(prompt);
    TextEmbedding result;
    for (const PromptToken& token : tokens.tokens) result.ids.push_back(token.id);
    result.all_tokens = tokens.all_tokens;
    result.truncated = tokens.truncated();
    if (result.ids.empty()) {
        return Error{ErrorCode::bad_input, fmt::format("{}: gives no tokens for this prompt, not even an end token",
                                                       state_->options.tokenizer.string())};
    }
    try {
        const std::lock_guard lock(state_->mutex);
        auto embedding = state_->find_or_encode(result);
        if (!embedding) return embedding.error();
        result.tensor = embedding->to(state_->options.device, state_->options.compute);
    } catch (...) {
        return current_exception_as_error("encoding the prompt");
    }
    result.ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
    return result;
}

TokenizedPrompt PromptEncoder::describe(std::string_view prompt) const {
    return state_->tokenizer.tokenize(prompt, state_->options.max_tokens);
}

at::Tensor TextEmbedding::on_current_stream() const {
    if (tensor.is_cuda()) tensor.record_stream(c10::impl::VirtualGuardImpl(at::kCUDA).getStream(tensor.device()));
    return tensor;
}

std::filesystem::path default_prompt_cache_folder() {
    const auto cache = user_cache_folder();
    return cache.empty() ? cache : cache / "prompts";
}

} // namespace wander
