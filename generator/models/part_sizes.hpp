#pragma once
// Sizes of the networks of a text-to-video model and what they say about tensors: published numbers as data, sizes read
// from the shapes in a file. Pure, any thread.

#include "generator/text/umt5_encoder.hpp"
#include "generator/wan/dit.hpp"
#include "generator/wan/taehv.hpp"
#include "generator/wan/vae.hpp"
#include "generator/wan/vae22_config.hpp"
#include "generator/weights/tensor_file.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace wander {

using ShapeTable = std::map<std::string, std::vector<std::int64_t>>;

// Self-Forcing's Wan2.1-T2V-1.3B, self-forcing.md 1.1.
DitConfig self_forcing_dit();
// Wan 2.1's VAE with the published mean and deviation of its latents, self-forcing.md 8.1.
VaeConfig wan21_vae();
// 44/42/42 of 128, 24/20/20 of 64: space gets a third each, rounded down to even (self-forcing.md 4.6).
void set_rope_split(DitConfig& dit);

// Sizes from the shapes in a file, in native names; bad_input where a tensor that says them is missing or odd. A strict
// check with tensor_shapes() has to follow. head_dim: 128, or what the model's own config.json says.
Result<DitConfig> dit_of_shapes(const ShapeTable& shapes, int head_dim);
Result<DitConfig> wan5b_of_shapes(const ShapeTable& shapes, int head_dim); // with labels and the second branch
Result<VaeConfig> vae_of_shapes(const ShapeTable& shapes);
Result<Vae22Config> vae22_of_shapes(const ShapeTable& shapes); // means and deviations: those of Wan 2.2
Result<Umt5Config> umt5_of_shapes(const ShapeTable& shapes);
Result<TaehvConfig> taehv_of_shapes(const ShapeTable& shapes); // conventions: those of madebyollin/taehv

// LightX2V's tiny VAEs have the same tensors as madebyollin/taehv's; what they make of numbers is told by the file's
// name alone, which has "lighttae" in it (LightX2V's pipeline.py goes by that too).
bool is_lighttae(const std::filesystem::path& file);
// They take the latents that the full VAE takes: as the sampler makes them, times deviation plus mean, by channel.
void take_lighttae_of_wan(TaehvConfig& tiny, const std::vector<double>& mean, const std::vector<double>& deviation);
// HunyuanVideo 1.5's: latents / scale, LeakyReLU 0.2, pictures in [-1, 1] (lighttae_hy15.py, tae.py).
void take_lighttae_of_hunyuan(TaehvConfig& tiny, double scale);

// What a WAN-5B checkpoint holds: the network's tensors, and the second branch's bias (wan5b_names.hpp).
ShapeTable wan5b_shapes(const DitConfig& dit);

} // namespace wander
