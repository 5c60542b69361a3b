#pragma once
// A golden of HunyuanVideo 1.5's VAE as our objects.

#include "generator/hunyuan/hunyuan_vae.hpp"
#include "tests/support/worldplay_case.hpp"

#include <functional>

namespace wander::testing {

inline HunyuanVae hunyuan_vae_of(const GoldenCase& golden, at::Device device = at::kCPU,
                                 at::ScalarType compute = at::kFloat, const DecodeTuning& tuning = {}) {
    const auto& c = golden.config();
    HunyuanVaeConfig config;
    config.z = c.at("latent");
    config.widths = c.at("widths").get<std::vector<int>>();
    config.residual_blocks = c.at("layers");
    config.scale = c.at("scaling_factor");
    EXPECT_EQ(config.spatial_scale(), c.at("ffactor_spatial").get<int>());
    EXPECT_EQ(1 << config.temporal_levels, c.at("ffactor_temporal").get<int>());
    return unwrap(HunyuanVae::load(config, golden.source(), device, compute, true, true, tuning));
}

// Decodes the case's latents in several splits into calls; `see` gets the frames as the case has them.
inline void for_every_split(const GoldenCase& golden, CausalDecodeStream& stream,
                            const std::function<void(const at::Tensor& frames)>& see) {
    const at::Tensor latents = frames_first(golden.tensor("z"));
    for (const std::vector<std::int64_t>& split : {std::vector<std::int64_t>{1, 1, 1, 1, 1}, {5}, {1, 4}, {3, 2}}) {
        stream.reset();
        std::vector<at::Tensor> parts;
        std::int64_t done = 0;
        for (const std::int64_t count : split) {
            parts.push_back(stream.decode(latents.narrow(0, done, count)));
            EXPECT_EQ(parts.back().size(0), 4 * count - (done == 0 ? 3 : 0));
            done += count;
        }
        see(channels_first(at::cat(parts)));
    }
}

} // namespace wander::testing
