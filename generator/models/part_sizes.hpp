#pragma once
// Sizes of the networks of a text-to-video model and what they say about tensors: published numbers as data, sizes read
// from the shapes in a file. Pure, any thread.

#include "generator/wan/dit.hpp"
#include "generator/wan/vae.hpp"
#include "generator/weights/tensor_file.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace wander {

using ShapeTable = std::map<std::string, std::vector<std::int64_t>>;

// umT5-XXL's encoder, self-forcing.md 7.2.
struct Umt5Sizes {
    int vocab = 256384;
    int dim = 4096;
    int layers = 24;
    int heads = 64;
    int head_dim = 64;
    int ffn = 10240;
    int buckets = 32;

    ShapeTable tensor_shapes() const;
};

// The tiny autoencoder taew2_1, self-forcing.md 9.
struct TaehvSizes {
    int channels = 16;                                    // of a latent
    std::vector<int> decoder_widths = {256, 128, 64, 64}; // coarse to fine
    int encoder_width = 64;

    ShapeTable tensor_shapes(bool encoder, bool decoder) const;
};

// Self-Forcing's Wan2.1-T2V-1.3B, self-forcing.md 1.1.
DitConfig self_forcing_dit();
// Wan 2.1's VAE with the published mean and deviation of its latents, self-forcing.md 8.1.
VaeConfig wan21_vae();
// 44/42/42 of 128, 24/20/20 of 64: space gets a third each, rounded down to even (self-forcing.md 4.6).
void set_rope_split(DitConfig& dit);

// Sizes from the shapes in a file, in native names; bad_input where a tensor that says them is missing or odd. A strict
// check with tensor_shapes() has to follow. head_dim: 128, or what the model's own config.json says.
Result<DitConfig> dit_of_shapes(const ShapeTable& shapes, int head_dim);
Result<VaeConfig> vae_of_shapes(const ShapeTable& shapes);
Result<Umt5Sizes> umt5_of_shapes(const ShapeTable& shapes);
Result<TaehvSizes> taehv_of_shapes(const ShapeTable& shapes);

} // namespace wander
