#pragma once
// The embedded world's autoencoder for training: batched, differentiable, tensors named as in
// VaeConfig::tensor_shapes(). The same functions as WanVae (generator/wan/vae.hpp), whole clips at once instead of
// streams. tiny-world.md 2.
//
// Pictures run as [clips * frames, channels, rows, columns], channels last in memory; convolutions that are causal in
// time read three frames side by side as channels. Grad mode is the caller's. One thread; not under InferenceMode when
// gradients are wanted.

#include "generator/train/parameters.hpp"
#include "generator/wan/vae.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace wander::train {

struct VaeMoments5 {         // not yet normalised, float32 (float64 for kDouble)
    at::Tensor mean;         // [B, latents, z, h, w]
    at::Tensor log_variance; // same
};

class TrainVae {
public:
    // config: the embedded layout. parameters must outlive it and hold encoder and decoder. compute: kFloat, kBFloat16
    // or kDouble; parameters are rounded to it in every call.
    TrainVae(VaeConfig config, Parameters& parameters, at::ScalarType compute);

    // frames: [B, 1 + 4 k, H, W, 3], uint8 levels or floating in [-1, 1]; from the beginning of a video. latents: 1 +
    // k.
    VaeMoments5 moments(const at::Tensor& frames) const;
    // Normalised latents [B, 1 + k, z, h, w].
    at::Tensor encode(const at::Tensor& frames) const;

    // latents: normalised, [B, n, z, h, w]. first: they begin a video: 1 + 4 (n - 1) frames; else zeros stand before
    // them: 4 n frames, of which the first ones lack their history. Returns [B, frames, H, W, 3] float32 (float64).
    at::Tensor decode(const at::Tensor& latents, bool first = true) const;
    // The same from the encoder's own scale.
    at::Tensor decode_unnormalised(const at::Tensor& means, bool first = true) const;

    at::Tensor normalised(const at::Tensor& means) const;
    const VaeConfig& config() const { return config_; }
    // z numbers each.
    void set_latent_scale(std::vector<double> mean, std::vector<double> deviation);

    Parameters& parameters() const { return *parameters_; }
    at::Device device() const;
    at::ScalarType compute() const { return compute_; }

private:
    VaeConfig config_;
    Parameters* parameters_;
    at::ScalarType compute_;
};

// Where a training from nothing begins: normal weights of variance 1 / inputs, zero biases, norms of one; second
// convolutions of residual blocks a tenth of that; time convolutions near the mean of the two newest frames (down) and
// the newest frame twice (up). `random` is a CPU generator: the values do not depend on the device.
Parameters random_vae(const VaeConfig& config, at::Device device, at::Generator random,
                      at::ScalarType type = at::kFloat);

} // namespace wander::train
