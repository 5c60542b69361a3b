// HunyuanVideo 1.5's VAE against the public code: streamed decode in every split, encode of an image and of a clip.

#include "generator/hunyuan/hunyuan_vae.hpp"
#include "tests/support/golden.hpp"

#include <c10/core/InferenceMode.h>

namespace wander::testing {
namespace {

// [1, C, T, h, w] <-> [T, C, h, w]
at::Tensor frames_first(const at::Tensor& clip) { return clip[0].transpose(0, 1).contiguous(); }
at::Tensor channels_first(const at::Tensor& frames) { return frames.transpose(0, 1).unsqueeze(0).contiguous(); }

HunyuanVae vae_of(const GoldenCase& golden) {
    const auto& c = golden.config();
    HunyuanVaeConfig config;
    config.z = c.at("latent");
    config.widths = c.at("widths").get<std::vector<int>>();
    config.residual_blocks = c.at("layers");
    config.scale = c.at("scaling_factor");
    EXPECT_EQ(config.spatial_scale(), c.at("ffactor_spatial").get<int>());
    EXPECT_EQ(1 << config.temporal_levels, c.at("ffactor_temporal").get<int>());
    return unwrap(HunyuanVae::load(config, golden.source(), at::kCPU, at::kFloat, true, true));
}

TEST(ParityHunyuanVae, StreamedDecodeInEverySplit) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("hy-vae")) {
        const GoldenCase golden(folder);
        const HunyuanVae vae = vae_of(golden);
        const at::Tensor latents = frames_first(golden.tensor("z"));
        CausalDecodeStream stream = vae.decode_stream();
        for (const std::vector<std::int64_t>& split : {std::vector<std::int64_t>{1, 1, 1, 1, 1}, {5}, {1, 4}, {3, 2}}) {
            stream.reset();
            std::vector<at::Tensor> parts;
            std::int64_t done = 0;
            for (const std::int64_t count : split) {
                parts.push_back(stream.decode(latents.narrow(0, done, count)));
                EXPECT_EQ(parts.back().size(0), vae.frames_of(count, done == 0));
                done += count;
            }
            golden.expect("frames", channels_first(at::cat(parts)));
        }
        EXPECT_EQ(std::ssize(stream.save()), golden.config().at("decoder_convs_with_cache").get<int>());
    }
}

TEST(ParityHunyuanVae, AnImageAndAClip) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("hy-vae")) {
        const GoldenCase golden(folder);
        const HunyuanVae vae = vae_of(golden);
        CausalEncodeStream stream = vae.encode_stream();
        for (const std::string input : {"image", "clip"}) {
            // Frames beyond 1 + 4k are the caller's to drop.
            const std::int64_t frames = input == "image" ? 1 : golden.config().at("clip_frames_used").get<int>();
            const at::Tensor pixels = frames_first(golden.tensor(input)).narrow(0, 0, frames);
            stream.reset();
            const VaeMoments moments = stream.encode(pixels);
            golden.expect(input + ".moments", channels_first(at::cat({moments.mean, moments.log_variance}, 1)));
            golden.expect(input + ".latent", channels_first(vae.scaled(moments.mean)));
        }
    }
}

TEST(ParityHunyuanVae, ARestoredStateGivesTheSameBits) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("hy-vae")) {
        const GoldenCase golden(folder);
        const HunyuanVae vae = vae_of(golden);
        const at::Tensor latents = frames_first(golden.tensor("z"));
        CausalDecodeStream stream = vae.decode_stream();
        stream.decode(latents.narrow(0, 0, 2));
        const auto saved = stream.save();
        const at::Tensor went_on = stream.decode(latents.narrow(0, 2, 2));
        CausalDecodeStream other = vae.decode_stream();
        other.restore(saved);
        EXPECT_TRUE(at::equal(other.decode(latents.narrow(0, 2, 2)), went_on));
    }
}

TEST(HunyuanVaeConfig, PublishedSizesAndNames) {
    const auto shapes = HunyuanVaeConfig().tensor_shapes(true, true);
    EXPECT_EQ(shapes.size(), 218u);
    std::int64_t values = 0;
    for (const auto& [name, shape] : shapes) {
        std::int64_t n = 1;
        for (const std::int64_t s : shape) n *= s;
        values += n;
    }
    EXPECT_NEAR(static_cast<double>(values), 1260.6e6, 0.1e6);
    EXPECT_EQ(shapes.at("decoder.up.1.upsample.conv.conv.weight"), (std::vector<std::int64_t>{4096, 1024, 3, 3, 3}));
    EXPECT_EQ(shapes.at("encoder.down.3.downsample.conv.conv.weight"), (std::vector<std::int64_t>{128, 1024, 3, 3, 3}));
}

} // namespace
} // namespace wander::testing
