// The Wan VAE against the public code (streamed, latent by latent) and against diffusers' reading of it.

#include "generator/wan/vae.hpp"
#include "tests/support/golden.hpp"

#include <c10/core/InferenceMode.h>

namespace wander::testing {
namespace {

TEST(ParityVae, StreamedDecodeAndEncode) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("wan-vae")) {
        const GoldenCase golden(folder);
        const auto& c = golden.config();
        VaeConfig config;
        config.z = c.at("z_dim");
        config.dim = c.at("dim");
        config.multipliers = c.at("dim_mult").get<std::vector<int>>();
        config.residual_blocks = c.at("num_res_blocks");
        config.temporal_downsample = c.at("temporal_downsample").get<std::vector<bool>>();
        config.latent_mean = c.at("mean").get<std::vector<double>>();
        config.latent_std = c.at("std").get<std::vector<double>>();
        const WanVae vae = unwrap(WanVae::load(config, golden.source(), at::kCPU, at::kFloat, true, true));

        const at::Tensor latents = golden.tensor("latents");
        const int count = c.at("latents");
        auto stream = vae.decode_stream();
        for (int i = 0; i < count; ++i)
            golden.expect("decode/latent" + std::to_string(i), stream.decode(latents.narrow(0, i, 1)));
        // A second video, in batches of other sizes: the same pictures, and nothing left of the first.
        stream.reset();
        golden.expect("decode/latent0", stream.decode(latents.narrow(0, 0, 1)));
        const at::Tensor rest = stream.decode(latents.narrow(0, 1, count - 1));
        for (int i = 1; i < count; ++i)
            golden.expect("decode/latent" + std::to_string(i), rest.narrow(0, 4 * (i - 1), 4));

        golden.expect("encode/latents", vae.encode(golden.tensor("pixels").transpose(0, 1).contiguous()));
    }
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    const auto at = text.find(from);
    return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

// Native name -> diffusers' name. The encoder's list keeps its flat index, the decoder's is split into levels.
std::string diffusers_name(std::string name, int layers_per_level) {
    if (name.starts_with("conv1.")) return "quant_" + replaced(name, "conv1", "conv");
    if (name.starts_with("conv2.")) return "post_quant_" + replaced(name, "conv2", "conv");
    name = replaced(name, "coder.conv1.", "coder.conv_in.");
    name = replaced(replaced(name, ".head.0.", ".norm_out."), ".head.2.", ".conv_out.");
    name = replaced(replaced(name, ".residual.0.", ".norm1."), ".residual.2.", ".conv1.");
    name = replaced(replaced(name, ".residual.3.", ".norm2."), ".residual.6.", ".conv2.");
    name = replaced(replaced(name, ".shortcut.", ".conv_shortcut."), ".downsamples.", ".down_blocks.");
    name = replaced(replaced(name, ".middle.0.", ".mid_block.resnets.0."), ".middle.2.", ".mid_block.resnets.1.");
    name = replaced(name, ".middle.1.", ".mid_block.attentions.0.");
    const std::string list = "decoder.upsamples.";
    if (!name.starts_with(list)) return name;
    const auto dot = name.find('.', list.size());
    const int index = std::stoi(name.substr(list.size(), dot - list.size()));
    const int level = index / layers_per_level, layer = index % layers_per_level;
    const bool change = layer == layers_per_level - 1;
    return "decoder.up_blocks." + std::to_string(level) +
           (change ? ".upsamplers.0" : ".resnets." + std::to_string(layer)) + name.substr(dot);
}

TEST(ParityVae, DiffusersForm) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("wan21-vae-diffusers")) {
        const GoldenCase golden(folder);
        const auto& c = golden.config();
        VaeConfig config;
        config.z = c.at("z");
        config.dim = c.at("base");
        config.multipliers = c.at("mult").get<std::vector<int>>();
        config.residual_blocks = c.at("blocks");
        config.temporal_downsample = c.at("temporal_down").get<std::vector<bool>>();
        config.latent_mean = c.at("latents_mean").get<std::vector<double>>();
        config.latent_std = c.at("latents_std").get<std::vector<double>>();
        const int layers = config.residual_blocks + 2;
        const WanVae vae = unwrap(WanVae::load(
            config, golden.source([layers](const std::string& name) { return diffusers_name(name, layers); }), at::kCPU,
            at::kFloat, true, true));
        const auto frames_first = [](const at::Tensor& clip) { return clip[0].transpose(0, 1).contiguous(); };
        const at::Tensor decoded = vae.decode_stream().decode(frames_first(golden.tensor("latent"))).clamp(-1, 1);
        golden.expect("decode", decoded.transpose(0, 1).contiguous());
        for (const auto& [frames, input] : {std::pair<std::string, std::string>{"1", "image"}, {"9", "video"}}) {
            golden.expect("latent." + frames,
                          vae.encode(frames_first(golden.tensor(input))).transpose(0, 1).contiguous());
        }
    }
}

} // namespace
} // namespace wander::testing
