// The Wan 2.2 VAE against the public code: streamed decode with its caches, encode of an image and of a clip.

#include "generator/wan/vae22.hpp"
#include "tests/support/golden.hpp"

#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

namespace wander::testing {
namespace {

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    const auto at = text.find(from);
    return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

// Native name -> the case's (diffusers') name. Within a level the layer after the residual blocks changes the size.
std::string diffusers_name(std::string name, int encoder_blocks) {
    if (name.starts_with("conv1.")) return "quant_" + replaced(name, "conv1", "conv");
    if (name.starts_with("conv2.")) return "post_quant_" + replaced(name, "conv2", "conv");
    name = replaced(name, "coder.conv1.", "coder.conv_in.");
    name = replaced(replaced(name, ".head.0.", ".norm_out."), ".head.2.", ".conv_out.");
    name = replaced(replaced(name, ".residual.0.", ".norm1."), ".residual.2.", ".conv1.");
    name = replaced(replaced(name, ".residual.3.", ".norm2."), ".residual.6.", ".conv2.");
    name = replaced(replaced(name, ".middle.0.", ".mid_block.resnets.0."), ".middle.2.", ".mid_block.resnets.1.");
    name = replaced(replaced(name, ".middle.1.", ".mid_block.attentions.0."), ".shortcut.", ".conv_shortcut.");
    const bool up = name.starts_with("decoder.upsamples.");
    const std::string change = fmt::format(".{}.", encoder_blocks + (up ? 1 : 0));
    const std::string inner = up ? ".upsamples" : ".downsamples";
    name = replaced(name, inner, up ? ".up_blocks" : ".down_blocks");
    name = replaced(name, inner + change, up ? ".upsampler." : ".downsampler.");
    return replaced(name, inner, ".resnets");
}

Vae22Config config_of(const nlohmann::json& c) {
    Vae22Config config;
    config.z = c.at("z");
    config.dim = c.at("base");
    config.decoder_dim = c.at("dec_base");
    config.multipliers = c.at("mult").get<std::vector<int>>();
    config.residual_blocks = c.at("blocks");
    config.temporal_downsample = c.at("temporal_down").get<std::vector<bool>>();
    config.patch = c.at("patch");
    config.latent_mean = c.at("latents_mean").get<std::vector<double>>();
    config.latent_std = c.at("latents_std").get<std::vector<double>>();
    return config;
}

Wan22Vae vae_of(const GoldenCase& golden) {
    const Vae22Config config = config_of(golden.config());
    const int blocks = config.residual_blocks;
    return unwrap(Wan22Vae::load(
        config, golden.source([blocks](const std::string& name) { return diffusers_name(name, blocks); }), at::kCPU,
        at::kFloat, true, true));
}

// [1, C, T, h, w] <-> [T, C, h, w]
at::Tensor frames_first(const at::Tensor& clip) { return clip[0].transpose(0, 1).contiguous(); }
at::Tensor channels_first(const at::Tensor& frames) { return frames.transpose(0, 1).unsqueeze(0).contiguous(); }

TEST(ParityVae22, StreamedDecodeInEverySplit) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("wan22-vae")) {
        const GoldenCase golden(folder);
        const Wan22Vae vae = vae_of(golden);
        const at::Tensor latents = frames_first(golden.tensor("latent"));
        const auto kept = at::tensor(golden.config().at("dec_frames").get<std::vector<std::int64_t>>(), at::kLong);
        auto stream = vae.decode_stream();
        for (const std::vector<std::int64_t>& split :
             {std::vector<std::int64_t>{1, 1, 1, 1, 1}, {5}, {1, 2, 2}, {1, 4}, {3, 2}}) {
            stream.reset();
            std::vector<at::Tensor> parts;
            std::int64_t done = 0;
            for (const std::int64_t count : split) {
                parts.push_back(stream.decode(latents.narrow(0, done, count)));
                EXPECT_EQ(parts.back().size(0), vae.frames_of(count, done == 0));
                done += count;
            }
            const at::Tensor frames = at::cat(parts);
            golden.expect("decode", channels_first(frames.index_select(0, kept).clamp(-1, 1)));
            // The last frame before the patches are laid out: column before row within a colour.
            const at::Tensor tail = golden.output("decode.tail")[0].squeeze(1); // [12, h, w]
            const at::Tensor last = frames[frames.size(0) - 1];                 // [3, 2h, 2w]
            for (std::int64_t channel = 0; channel < tail.size(0); ++channel) {
                const at::Tensor pixels =
                    last[channel / 4].slice(0, channel % 2, last.size(1), 2).slice(1, channel % 4 / 2, last.size(2), 2);
                EXPECT_LE((pixels - tail[channel]).abs().max().item<double>(),
                          golden.tolerance() * tail.abs().max().item<double>());
            }
        }
    }
}

TEST(ParityVae22, CachesAreTheReferences) {
    const c10::InferenceMode inference;
    const std::pair<const char*, const char*> names[] = {
        {"conv_in", "decoder.conv1"},
        {"up_blocks.0.upsampler.time_conv", "decoder.upsamples.0.upsamples.3.time_conv"},
        {"up_blocks.1.resnets.0.conv1", "decoder.upsamples.1.upsamples.0.residual.2"},
        {"up_blocks.1.upsampler.time_conv", "decoder.upsamples.1.upsamples.3.time_conv"}};
    for (const auto& folder : golden_folders("wan22-vae")) {
        const GoldenCase golden(folder);
        const Wan22Vae vae = vae_of(golden);
        const at::Tensor latents = frames_first(golden.tensor("latent"));
        auto stream = vae.decode_stream();
        EXPECT_EQ(stream.state_bytes(), 0);
        int compared = 0;
        for (int latent = 0; latent < 3; ++latent) {
            stream.decode(latents.narrow(0, latent, 1));
            const auto saved = stream.save();
            for (const auto& [theirs, ours] : names) {
                const std::string name = "dec.cache" + std::to_string(latent) + "." + theirs;
                if (!golden.has_output(name)) continue;
                golden.expect(name, channels_first(saved.at(ours)));
                ++compared;
            }
        }
        EXPECT_EQ(compared, 6);
        EXPECT_GT(stream.state_bytes(), 0);
    }
}

TEST(ParityVae22, EncodeOfAnImageAndOfAClip) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("wan22-vae")) {
        const GoldenCase golden(folder);
        const Wan22Vae vae = vae_of(golden);
        for (const auto& [frames, input] : {std::pair<std::string, std::string>{"1", "image"}, {"9", "video"}}) {
            const at::Tensor pixels = frames_first(golden.tensor(input));
            auto stream = vae.encode_stream();
            const auto moments = stream.encode(pixels);
            golden.expect("enc." + frames, channels_first(at::cat({moments.mean, moments.log_variance}, 1)));
            golden.expect("latent." + frames, channels_first(vae.normalised(moments.mean)));
            // The same in calls of 1, 4, 4 frames.
            stream.reset();
            std::vector<at::Tensor> means;
            for (std::int64_t done = 0; done < pixels.size(0); done += done == 0 ? 1 : 4)
                means.push_back(stream.encode(pixels.narrow(0, done, done == 0 ? 1 : 4)).mean);
            golden.expect("latent." + frames, channels_first(vae.normalised(at::cat(means))));
        }
    }
}

} // namespace
} // namespace wander::testing
