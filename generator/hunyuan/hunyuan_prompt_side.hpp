#pragma once
// What HunyuanVideo 1.5's transformer is told once a prompt and once a picture (hy-worldplay.md 2.4, 3): the states of
// Qwen2.5-VL behind the instruction, byT5's states of quoted texts, SigLIP's view of the start picture, and the
// picture's latent. With a cache on disk, so that a prompt or a picture is encoded once on a machine.
//
//   auto side = HunyuanPromptSide::open({.tokenizer = dir / "text_encoder/llm", .system_prompt = ..., ...});
//   auto text = side->encode_text("A snowy street at night, a sign that says \"OPEN\"");
//   auto picture = side->encode_picture(*read_picture_levels("start.png"), {832, 480});
//
// Threads: both encodes from any thread, one at a time (others wait); they set InferenceMode themselves. The encoders
// have CUDA streams of their own, the VAE uses the calling thread's.

#include "generator/hunyuan/hunyuan_vae.hpp"
#include "generator/text/plain/system_prompt.hpp"
#include "generator/text/qwen_text.hpp"
#include "generator/text/umt5_encoder.hpp"
#include "generator/vision/siglip.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wander {

// Tensors are on the device in the compute type and complete. Values of the encoders are rounded to bf16 whatever
// computes, so a prompt gives the same walk whether it came from the cache or not.
struct HunyuanText {
    at::Tensor states; // [n, 3584]: of the prompt and the chat's tail; the transformer pads nothing
    at::Tensor glyph;  // [g, 1472]; no rows where nothing is quoted, or without the glyph encoder
    std::vector<std::string> quoted;
    std::size_t tokens = 0; // of the prompt and the tail, after the cut
    bool truncated = false; // the prompt was too long: say so
    bool quoted_truncated = false;
    bool glyph_missing = false; // something is quoted, and there is no encoder for it: say so
    bool from_cache = false;
    std::string cache_warning; // why something could not be stored, for the log; empty: all is well
    double ms = 0;

    // Marks the tensors as used by the calling thread's stream: their memory is not reused before that work is done.
    void use_on_current_stream() const;
};

struct HunyuanPicture {
    at::Tensor vision; // [729, 1152]
    at::Tensor cond;   // [1, 32, h, w]: the mean of the VAE's posterior times its scale, float32 (double for double)
    Picture cropped;   // what `cond` is of, for showing
    bool from_cache = false; // vision
    std::string cache_warning;
    double ms = 0;

    void use_on_current_stream() const;
};

template <typename Config>
struct HunyuanEncoderPart {
    Config config;
    CheckpointPart::TensorSource source; // empty: only what is in the cache can be answered
    // Names the weights, for the cache: another checkpoint, another key.
    std::string weights_key;
    // None: the side's. The published run has its text in fp16; byT5 is small enough for float32.
    std::optional<at::ScalarType> compute{};
};

// HunyuanPicture::cond of a cropped picture, by a VAE with its encoder; finished when this returns.
at::Tensor hunyuan_cond(const HunyuanVae& vae, const Picture& cropped, at::Device device);

struct HunyuanPromptSideOptions {
    std::filesystem::path tokenizer; // the folder of vocab.json, merges.txt and tokenizer_config.json
    std::string system_prompt;       // read_system_prompt()
    HunyuanEncoderPart<QwenTextConfig> text;
    std::optional<HunyuanEncoderPart<Umt5Config>> glyph{};
    HunyuanEncoderPart<SiglipConfig> vision;
    std::optional<HunyuanVae> vae{}; // with its encoder; without it there is no cond latent
    at::Device device = at::kCPU;
    at::ScalarType compute = at::kFloat; // also what is handed out
    TextPlacement placement = TextPlacement::streamed;
    std::filesystem::path cache_folder{};   // empty: no cache
    std::int64_t cache_bytes = 256ll << 20; // the least recently used entries go first
    std::size_t max_tokens = 1000;          // of the prompt and the chat's tail
    std::size_t max_glyph_tokens = 256;
    SystemPromptMark mark{};
    std::function<void(double)> progress{}; // 0 to 1 while resident weights are copied
};

class HunyuanPromptSide {
public:
    // bad_input, unavailable: the instruction, the tokenizer or an encoder is missing or of another model.
    static Result<HunyuanPromptSide> open(HunyuanPromptSideOptions options);
    HunyuanPromptSide(HunyuanPromptSide&&) noexcept;
    HunyuanPromptSide& operator=(HunyuanPromptSide&&) noexcept;
    ~HunyuanPromptSide();

    // Any text; an empty one counts as one blank. unavailable: not in the cache and no weights.
    Result<HunyuanText> encode_text(std::string_view prompt);
    // size: of the video, multiples of the VAE's scale.
    Result<HunyuanPicture> encode_picture(const Picture& picture, PictureSize size);

private:
    struct State;
    explicit HunyuanPromptSide(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

} // namespace wander
