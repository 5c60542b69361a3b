#pragma once
// A golden of HY-WorldPlay's 8B transformer as our objects.

#include "generator/hunyuan/hunyuan_dit.hpp"
#include "generator/hunyuan/hunyuan_text_side.hpp"
#include "tests/support/worldplay_case.hpp"

namespace wander::testing {

inline HunyuanConfig hunyuan_config_of(const GoldenCase& golden) {
    const auto& c = golden.config();
    HunyuanConfig config;
    config.dim = c.at("hidden");
    config.layers = c.at("depth");
    config.heads = c.at("heads");
    config.head_dim = config.dim / config.heads;
    config.mlp = static_cast<int>(c.at("mlp_ratio").get<double>() * config.dim);
    config.channels = c.at("channels");
    config.rope_theta = c.at("theta");
    config.rope_time_channels = c.at("rope")[0];
    config.rope_row_channels = c.at("rope")[1];
    config.rope_col_channels = c.at("rope")[2];
    config.text_dim = c.at("text");
    config.vision_dim = c.at("vision");
    const bool glyph = golden.weights().contains("byt5_in.fc1.weight");
    config.glyph_dim = glyph ? c.at("byt5").get<int>() : 0;
    config.glyph_hidden = c.at("byt5_hidden");
    return config;
}

// Valid states alone; what follows them in the case is padding.
inline HunyuanPrompt hunyuan_prompt_of(const GoldenCase& golden) {
    const auto& c = golden.config();
    HunyuanPrompt prompt;
    prompt.text = golden.tensor("text_states")[0].narrow(0, 0, c.at("text_valid"));
    prompt.vision = golden.tensor("vision_states")[0];
    if (golden.weights().contains("byt5_in.fc1.weight"))
        prompt.glyph = golden.tensor("glyph_states")[0].narrow(0, 0, c.at("glyph_valid"));
    return prompt;
}

inline std::unique_ptr<quant::KvCache> hunyuan_cache(const HunyuanConfig& config, int tokens,
                                                     const HunyuanTextCache& text,
                                                     at::ScalarType compute = at::kFloat) {
    quant::CacheShape shape;
    shape.layers = config.layers;
    shape.heads = config.heads;
    shape.head_dim = config.head_dim;
    shape.tokens_per_latent = tokens;
    shape.page_latents = kLatentsPerChunk;
    auto cache = unwrap(quant::KvCache::create(shape, {}, at::kCPU, compute));
    cache->set_text(text.layers);
    return cache;
}

} // namespace wander::testing
