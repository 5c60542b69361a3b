// The tiny autoencoders against the public code, each layout and convention: streamed decode with its state, start-up
// frames, streamed encode.

#include "generator/wan/taehv.hpp"
#include "tests/support/golden.hpp"

#include <c10/core/InferenceMode.h>

namespace wander::testing {
namespace {

bool encodes(const GoldenCase& golden) { return golden.has_output("encode/latents"); }

TaehvConfig config_of(const GoldenCase& golden) {
    const auto& c = golden.config();
    const auto& weights = golden.weights();
    const auto out = [&weights](const std::string& name) { return weights.at(name).at("shape").at(0).get<int>(); };
    TaehvConfig config;
    config.z = c.at("latent_channels");
    config.decoder_time_upscale = c.at("decoder_time_upscale").get<std::vector<bool>>();
    config.stored_time_upscale = config.decoder_time_upscale;
    config.encoder_time_downscale = c.at("encoder_time_downscale").get<std::vector<bool>>();
    config.decoder_channels = {out("decoder.1.weight"), out("decoder.8.weight"), out("decoder.14.weight"),
                               out("decoder.20.weight")};
    if (encodes(golden)) config.encoder_channels = out("encoder.0.weight");
    config.patch = c.at("patch_size");
    config.leak = c.value("leak", 0.0);
    config.latent_mean = c.value("latent_mean", std::vector<double>());
    config.latent_std = c.value("latent_std", std::vector<double>());
    if (c.contains("range")) config.range = {c.at("range").at(0), c.at("range").at(1)};
    EXPECT_EQ(c.at("frames_to_trim"), config.decoder_time_scale() - 1);
    return config;
}

// A case may hold the last frames of the video only.
void expect_frames(const GoldenCase& golden, const at::Tensor& frames) {
    const std::int64_t first = golden.config().value("first_frame", 0);
    const TaehvConfig config = config_of(golden);
    const at::Tensor shown = frames.narrow(0, first, frames.size(0) - first);
    golden.expect("decode/frames", shown.clamp(config.range.black, config.range.white));
}

TEST(ParityTaehv, StreamedDecodeWithItsState) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("taehv")) {
        const GoldenCase golden(folder);
        const Taehv taehv =
            unwrap(Taehv::load(config_of(golden), golden.source(), at::kCPU, at::kFloat, encodes(golden), true));
        const at::Tensor latents = golden.tensor("latents");
        const at::Tensor counts = golden.output("decode/frame_counts");
        auto stream = taehv.decode_stream();
        std::vector<at::Tensor> parts;
        for (std::int64_t i = 0; i < latents.size(0); ++i) {
            parts.push_back(stream.decode(latents.narrow(0, i, 1)));
            EXPECT_EQ(parts.back().size(0), counts[i].item<std::int64_t>()) << "latent " << i;
            EXPECT_EQ(parts.back().size(0), taehv.frames_of(1, i == 0));
            if (i == 1) golden.expect("memory/decoder.5", stream.memory().at("decoder.5"));
        }
        expect_frames(golden, at::cat(parts));
        // A second video in calls of other sizes, with the frames that a video drops.
        stream.reset();
        EXPECT_EQ(stream.state_bytes(), 0);
        const at::Tensor start = stream.decode_all(latents.narrow(0, 0, 2));
        const std::int64_t dropped = taehv.config().decoder_time_scale() - 1;
        if (golden.has_output("decode/dropped")) golden.expect("decode/dropped", start.narrow(0, 0, dropped));
        const at::Tensor rest = stream.decode(latents.narrow(0, 2, latents.size(0) - 2));
        expect_frames(golden, at::cat({start.narrow(0, dropped, start.size(0) - dropped), rest}));
        EXPECT_GT(stream.state_bytes(), 0);
    }
}

TEST(ParityTaehv, StreamedEncodeOfSingleFrames) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("taehv")) {
        const GoldenCase golden(folder);
        if (!encodes(golden)) continue;
        const Taehv taehv = unwrap(Taehv::load(config_of(golden), golden.source(), at::kCPU, at::kFloat, true, false));
        const at::Tensor pixels = golden.tensor("pixels");
        const at::Tensor counts = golden.output("encode/latent_counts");
        ASSERT_EQ(counts.numel(), pixels.size(0) + 1);
        auto stream = taehv.encode_stream();
        std::vector<at::Tensor> parts;
        for (std::int64_t i = 0; i <= pixels.size(0); ++i) {
            const at::Tensor made = i < pixels.size(0) ? stream.encode(pixels.narrow(0, i, 1)) : stream.finish();
            EXPECT_EQ(made.size(0), counts[i].item<std::int64_t>()) << "frame " << i;
            if (made.size(0) > 0) parts.push_back(made);
        }
        golden.expect("encode/latents", at::cat(parts));
        // All at once, and nothing left of the video before.
        const at::Tensor first = stream.encode(pixels);
        golden.expect("encode/latents", at::cat({first, stream.finish()}));
    }
}

} // namespace
} // namespace wander::testing
