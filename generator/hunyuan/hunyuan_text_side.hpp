#pragma once
// The text side of HY-WorldPlay's 8B transformer: prompt, quoted texts and start picture become the keys and values
// that every image block reads (hy-worldplay.md 2.4). Runs once a prompt; nothing of it is needed while the video runs,
// so it is an object of its own that a small GPU drops, or keeps on the CPU.
//
// Tokens attend among themselves alone, in the order picture, quoted texts, prompt. Weights only after loading; runs
// under InferenceMode on the caller's thread.

#include "generator/hunyuan/hunyuan_config.hpp"
#include "generator/wan/dit.hpp"
#include "quant/kv_cache.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace wander {

struct HunyuanPrompt {
    at::Tensor text;   // [n, text_dim], the valid states of Qwen alone; at least one
    at::Tensor glyph;  // [g, glyph_dim], the valid states of byT5; undefined or no rows: no quoted text
    at::Tensor vision; // [tokens, vision_dim], SigLIP's last hidden state; undefined: no start picture
};

// What KvCache::set_text() takes. Tensors are immutable: copies share them.
struct HunyuanTextCache {
    std::vector<quant::TextRows> layers;
    std::int64_t bytes() const;
    HunyuanTextCache to(at::Device device) const;
};

class HunyuanTextSide {
public:
    using TensorSource = WanDit::TensorSource;
    // Loads strictly all of text_shapes(), published names. compute: kFloat, kBFloat16, kDouble.
    static Result<HunyuanTextSide> load(const HunyuanConfig& config, const TensorSource& source, at::Device device,
                                        at::ScalarType compute);

    // Keys and values of every layer, compute type, on this side's device. on_block sees the stream behind each block
    // but the last, which stops at its keys and values.
    HunyuanTextCache encode(const HunyuanPrompt& prompt,
                            const std::function<void(int layer, const at::Tensor& stream)>& on_block = {}) const;

    // The parts of encode(): [tokens, dim] each, wide type, the first three before their type row is added.
    at::Tensor refined(const at::Tensor& text) const;
    at::Tensor mapped_glyph(const at::Tensor& glyph) const;
    at::Tensor mapped_vision(const at::Tensor& vision) const;
    at::Tensor sequence(const HunyuanPrompt& prompt) const;

    struct Weights;

private:
    std::shared_ptr<const Weights> weights_;
};

} // namespace wander
