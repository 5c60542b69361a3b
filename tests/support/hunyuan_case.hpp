#pragma once
// A golden of HY-WorldPlay's 8B transformer as our objects.

#include "generator/hunyuan/hunyuan_dit.hpp"
#include "generator/hunyuan/hunyuan_text_side.hpp"
#include "generator/rollout/worldplay_rollout.hpp"
#include "tests/support/worldplay_case.hpp"

#include <memory>

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
                                                     const HunyuanTextCache& text, at::Device device = at::kCPU,
                                                     at::ScalarType compute = at::kFloat) {
    auto cache = cache_of(config, tokens, device, compute);
    cache->set_text(text.layers);
    return cache;
}

// A case of the roll-out.
struct HunyuanWalk : CaseInputs {
    explicit HunyuanWalk(const GoldenCase& golden, at::Device where = at::kCPU, at::ScalarType type = at::kFloat)
        : CaseInputs{cameras_of(golden, "in.w2c", "in.K", "in.label"),
                     ball_of(golden, "points.r", "points.p", "points.u"), frames_first(golden.tensor("noise")),
                     frames_first(golden.tensor("cond0"))[0]},
          c(golden.config()),
          device(where),
          compute(type),
          dit(std::make_shared<HunyuanDit>(
              unwrap(HunyuanDit::load(hunyuan_config_of(golden), golden.source(), device, compute)))),
          text(unwrap(HunyuanTextSide::load(hunyuan_config_of(golden), golden.source(), device, compute))
                   .encode(hunyuan_prompt_of(golden))) {}

    WorldPlayRollout open() const {
        WorldPlayRollout::Config options;
        options.schedule = WorldPlaySchedule::worldplay_8b();
        const int memory = c.at("memory"), recent = c.at("temporal");
        options.schedule.context = {memory, recent, memory - recent - kLatentsPerChunk, kLatentsPerChunk};
        options.rows = c.at("hw")[0];
        options.cols = c.at("hw")[1];
        return WorldPlayRollout(std::shared_ptr<const WorldPlayNet>(dit),
                                hunyuan_cache(dit->config(), options.rows * options.cols, text, device, compute),
                                options, noise_source(), ViewOverlap(ball));
    }

    nlohmann::json c;
    at::Device device;
    at::ScalarType compute;
    std::shared_ptr<HunyuanDit> dit;
    HunyuanTextCache text;
};

} // namespace wander::testing
