#pragma once
// HY-WorldPlay WAN-5B in small out of a golden: the network, its cache, and a roll-out from the case's picture.

#include "generator/rollout/worldplay_rollout.hpp"
#include "generator/wan/wan5b_names.hpp"
#include "tests/support/worldplay_case.hpp"

#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace wander::testing {

inline std::shared_ptr<WanDit> dit_of(const GoldenCase& golden) {
    const auto& c = golden.config();
    DitConfig config = wan5b_config();
    config.heads = c.at("heads");
    config.head_dim = c.at("head_dim");
    config.dim = config.heads * config.head_dim;
    config.layers = c.at("layers");
    config.ffn = c.at("ffn");
    config.channels = c.at("channels");
    config.text_dim = c.at("text_dim");
    config.text_len = c.at("text_len");
    config.freq_dim = c.at("freq_dim");
    config.eps = c.at("eps");
    config.rope_theta = c.at("rope_theta");
    config.rope_time_channels = c.at("rope_split")[0];
    config.rope_row_channels = c.at("rope_split")[1];
    config.rope_col_channels = c.at("rope_split")[2];
    auto dit =
        std::make_shared<WanDit>(unwrap(WanDit::load(config, wan5b_source(golden.source()), at::kCPU, at::kFloat)));
    dit->set_text(golden.tensor("text")[0]);
    return dit;
}

inline std::vector<LatentCamera> cameras_of(const GoldenCase& golden) {
    return cameras_of(golden, "in.viewmats", "in.Ks", "in.labels");
}

struct SmallWalk : CaseInputs {
    explicit SmallWalk(const GoldenCase& golden)
        : CaseInputs{cameras_of(golden), {}, frames_first(golden.tensor("noise")), {}},
          config(golden.config()),
          dit(dit_of(golden)) {
        const auto vector = [](const nlohmann::json& values) {
            return at::tensor(values.get<std::vector<double>>(), at::kDouble).view({-1, 1, 1});
        };
        picture = ((frames_first(golden.tensor("image_sample"))[0] - vector(config.at("latents_mean"))) /
                   vector(config.at("latents_std")))
                      .to(at::kFloat);
        if (config.contains("radius")) ball = ball_of(golden, "points.r", "points.phi", "points.u");
    }

    WorldPlayRollout open(std::function<void(std::size_t, const at::Tensor&, const at::Tensor&)> on_step = {},
                          bool fast_context = false, std::shared_ptr<PublishedStore> store = {}) const {
        const int memory = config.at("memory");
        WorldPlayRollout::Config options;
        options.schedule = WorldPlaySchedule::wan_5b();
        options.schedule.context = {memory, config.value("temporal", memory - kLatentsPerChunk), 0, kLatentsPerChunk};
        options.rows = config.at("lat_h");
        options.cols = config.at("lat_w");
        options.on_step = std::move(on_step);
        options.fast_context = fast_context;
        options.published_store = std::move(store);
        return WorldPlayRollout(dit, cache_of(dit->config(), config.at("tokens_per_latent")), std::move(options),
                                noise_source(), ViewOverlap(ball));
    }

    nlohmann::json config;
    std::shared_ptr<WanDit> dit;
};

} // namespace wander::testing
