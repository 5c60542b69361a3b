#pragma once
// A prompt as the video transformer wants it: cleaning, tokens, umT5, and a cache on disk so that a prompt is encoded
// once on a machine.
//
//   auto encoder = PromptEncoder::open({.tokenizer = dir / "google/umt5-xxl/tokenizer.json", .source = ..., ...});
//   auto text = encoder->encode("A snowy street at night, ...");       // on a thread of its own, the walk goes on
//   dit.set_text(text->on_current_stream());                           // worker, between two chunks
//
// Threads: encode() from any thread, one at a time (others wait); it sets InferenceMode itself and uses its own CUDA
// stream, so a walk on another thread keeps running. describe() from any thread at any time.

#include "generator/text/plain/prompt_tokenizer.hpp"
#include "generator/text/umt5_encoder.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace wander {

struct TextEmbedding {
    // [L, dim] on the device in the compute type, complete. The values are rounded to bf16 whatever computes, so a
    // prompt gives the same walk whether it came from the cache or not. Rows up to the text length are zeros for the
    // reader.
    at::Tensor tensor;
    std::vector<int> ids;       // L, end token last
    std::size_t all_tokens = 0; // before the cut
    bool truncated = false;     // the prompt was longer than max_tokens: say so
    bool from_cache = false;
    std::string cache_warning; // why it could not be stored, for the log; empty: all is well
    double ms = 0;             // tokens, cache, encoding and copies

    // The tensor, marked as used by the calling thread's stream: its memory is not reused before that work is done.
    at::Tensor on_current_stream() const;
};

struct PromptEncoderOptions {
    std::filesystem::path tokenizer; // tokenizer.json
    Umt5Config config;
    // Empty: nothing but prompts from the cache can be answered.
    Umt5Encoder::TensorSource source;
    // Names the weights, for the cache: another checkpoint, another key. A hash or path + size + time of the file.
    std::string weights_key;
    at::Device device = at::kCPU;
    at::ScalarType compute = at::kFloat;
    TextPlacement placement = TextPlacement::streamed;
    std::filesystem::path cache_folder;     // empty: no cache; default_prompt_cache_folder() is the usual one
    std::int64_t cache_bytes = 256ll << 20; // the least recently used entries go first
    std::size_t max_tokens = 512;           // the model's text length
    std::function<void(double)> progress{}; // 0 to 1 while resident weights are copied
};

class PromptEncoder {
public:
    static Result<PromptEncoder> open(PromptEncoderOptions options);
    PromptEncoder(PromptEncoder&&) noexcept;
    PromptEncoder& operator=(PromptEncoder&&) noexcept;
    ~PromptEncoder();

    // Any text, an empty one too; one that is too long is cut and says so. unavailable: not in the cache and no
    // weights.
    Result<TextEmbedding> encode(std::string_view prompt);

    // What the tokenizer makes of it, for panels and tests.
    TokenizedPrompt describe(std::string_view prompt) const;

private:
    struct State;
    explicit PromptEncoder(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

// Below the user's cache folder; empty where there is none. Not created here.
std::filesystem::path default_prompt_cache_folder();

} // namespace wander
