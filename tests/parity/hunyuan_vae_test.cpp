// HunyuanVideo 1.5's VAE against the public code: streamed decode in every split, encode of an image and of a clip.

#include "tests/support/hunyuan_vae_case.hpp"

#include <c10/core/InferenceMode.h>

namespace wander::testing {
namespace {

TEST(ParityHunyuanVae, StreamedDecodeInEverySplit) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("hy-vae")) {
        const GoldenCase golden(folder);
        const HunyuanVae vae = hunyuan_vae_of(golden);
        CausalDecodeStream stream = vae.decode_stream();
        for_every_split(golden, stream, [&](const at::Tensor& frames) { golden.expect("frames", frames); });
        EXPECT_EQ(std::ssize(stream.save()), golden.config().at("decoder_convs_with_cache").get<int>());
    }
}

TEST(ParityHunyuanVae, AnImageAndAClip) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("hy-vae")) {
        const GoldenCase golden(folder);
        const HunyuanVae vae = hunyuan_vae_of(golden);
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
        const HunyuanVae vae = hunyuan_vae_of(golden);
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
