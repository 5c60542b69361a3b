// Writes a model folder of random weights: every file, name and shape of a real one, values that keep activations sane.
//
//     make_random_model DIR [--small] [--window LATENTS] [--seed N]
//
// Default: the Self-Forcing 1.3B configuration at 480x832 (3 GB). --small: the same with 3 layers of 192 channels at
// 64x96, for tests. It proves sizes, speed and memory; the pictures are noise.

#include "generator/wan/dit.hpp"
#include "generator/wan/taehv.hpp"
#include "generator/wan/vae.hpp"
#include "generator/weights/safetensors.hpp"

#include <ATen/ATen.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

namespace {

using wander::DitConfig;
using wander::VaeConfig;

DitConfig dit_config(bool small) {
    DitConfig dit;
    dit.dim = small ? 192 : 1536;
    dit.layers = small ? 3 : 30;
    dit.heads = small ? 3 : 12;
    dit.head_dim = dit.dim / dit.heads;
    dit.ffn = small ? 384 : 8960;
    dit.rope_time_channels = small ? 24 : 44;
    dit.rope_row_channels = small ? 20 : 42;
    dit.rope_col_channels = small ? 20 : 42;
    dit.text_dim = small ? 64 : 4096;
    dit.text_len = small ? 32 : 512;
    return dit;
}

VaeConfig vae_config(bool small) {
    VaeConfig vae;
    vae.dim = small ? 16 : 96;
    vae.latent_mean.assign(16, 0.0);
    vae.latent_std.assign(16, 1.0);
    return vae;
}

// Weights with variance 1 / fan-in, gains near one, small biases.
std::map<std::string, at::Tensor> random_tensors(const std::map<std::string, std::vector<std::int64_t>>& shapes) {
    std::map<std::string, at::Tensor> tensors;
    for (const auto& [name, shape] : shapes) {
        at::Tensor t = at::randn(shape, at::kFloat);
        const bool gain =
            name.ends_with("gamma") || (name.find("norm") != std::string::npos && name.ends_with("weight"));
        if (gain) {
            t = t * 0.1 + 1;
        } else if (name.ends_with("bias") || name.find("modulation") != std::string::npos) {
            t = t * 0.05;
        } else {
            t = t / std::sqrt(static_cast<double>(t.numel()) / static_cast<double>(shape[0]));
        }
        tensors[name] = t.to(at::kBFloat16);
    }
    return tensors;
}

int run(int argc, char** argv) {
    if (argc < 2 || argv[1][0] == '-') {
        std::fprintf(stderr, "usage: make_random_model DIR [--small] [--window LATENTS] [--seed N]\n");
        return 2;
    }
    const std::filesystem::path folder = argv[1];
    bool small = false;
    int window = 42;
    std::uint64_t seed = 1;
    for (int i = 2; i < argc; ++i) {
        if (std::strcmp(argv[i], "--small") == 0) small = true;
        if (std::strcmp(argv[i], "--window") == 0 && i + 1 < argc) window = std::atoi(argv[++i]);
        if (std::strcmp(argv[i], "--seed") == 0 && i + 1 < argc) seed = std::strtoull(argv[++i], nullptr, 10);
    }
    at::manual_seed(seed);
    std::filesystem::create_directories(folder);
    const DitConfig dit = dit_config(small);
    const VaeConfig vae = vae_config(small);
    wander::TaehvConfig tiny;
    if (small) tiny.decoder_channels = {32, 16, 8, 8};
    const nlohmann::json config = {
        {"kind", "wan-causal"},
        {"version", 1},
        {"name", small ? "random-small" : "random-1.3b"},
        {"fps", 16},
        {"latent_rows", small ? 8 : 60},
        {"latent_cols", small ? 12 : 104},
        {"chunk_latents", 3},
        {"sink_latents", 3},
        {"window_latents", window},
        {"page_latents", 3},
        {"dit",
         {{"dim", dit.dim},
          {"layers", dit.layers},
          {"heads", dit.heads},
          {"ffn", dit.ffn},
          {"channels", dit.channels},
          {"freq_dim", dit.freq_dim},
          {"eps", dit.eps},
          {"rope_theta", dit.rope_theta},
          {"rope_split", {dit.rope_time_channels, dit.rope_row_channels, dit.rope_col_channels}},
          {"text_dim", dit.text_dim},
          {"text_len", dit.text_len}}},
        {"vae",
         {{"z", vae.z},
          {"dim", vae.dim},
          {"multipliers", vae.multipliers},
          {"residual_blocks", vae.residual_blocks},
          {"temporal_downsample", vae.temporal_downsample},
          {"eps", vae.eps},
          {"latent_mean", vae.latent_mean},
          {"latent_std", vae.latent_std}}},
        {"sampler", {{"kind", "renoise"}, {"shift", 5.0}, {"steps", {1000, 750, 500, 250}}, {"context_timestep", 0}}}};
    std::ofstream(folder / "config.json") << config.dump(1) << '\n';

    const auto write = [&folder](const char* name, const std::map<std::string, at::Tensor>& tensors) {
        auto written = wander::write_safetensors(folder / name, tensors);
        if (!written) std::fprintf(stderr, "make_random_model: %s\n", written.error().message.c_str());
        return static_cast<bool>(written);
    };
    const bool done = write("dit.safetensors", random_tensors(dit.tensor_shapes())) &&
                      write("vae.safetensors", random_tensors(vae.tensor_shapes(false, true))) &&
                      write("taehv.safetensors", random_tensors(tiny.tensor_shapes(false, true))) &&
                      write("text_embedding.safetensors",
                            {{"text_embedding", at::randn({small ? 7 : 120, dit.text_dim}).to(at::kBFloat16)}});
    return done ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) { return run(argc, argv); }
