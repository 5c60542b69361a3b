#pragma once
// First phase of a world: encoder and decoder together, on clips of pictures. tiny-world.md 5, phase 0.

#include "generator/train/train_vae.hpp"
#include "generator/train/training_data.hpp"

#include <ATen/core/Generator.h>

#include <cstdint>

namespace wander::train {

struct VaePhaseConfig {
    int clips = 20;
    int frames = 13; // of a clip, 1 + 4 k
    double gradient_weight = 0.5;
    double square_weight = 0.5;
    double kl_weight = 1e-4;
    double latent_noise = 0.1; // half of the clips get up to twice this share of the latents' deviation
};

class VaePhase {
public:
    // The VAE must outlive it. The pool is on its device.
    VaePhase(TrainVae& vae, FramePool pool, const VaePhaseConfig& config, std::uint64_t seed);

    // Forward of one step on a random batch: a scalar to call backward() on. progress is not used, as the weights of
    // the loss are constant.
    at::Tensor loss(double progress);
    // Of the last step, [] float32 on the device: PSNR in dB of pictures in [0, 1].
    const at::Tensor& psnr() const { return psnr_; }

    // Measures mean and deviation of the encoder's channels over the pool (first latents left out) and sets them.
    void measure_latent_scale();

private:
    TrainVae& vae_;
    FramePool pool_;
    VaePhaseConfig config_;
    at::Generator random_;
    at::Tensor psnr_;
};

// What both phases of the autoencoder compare pictures by: L1, L1 of neighbour differences, mean square.
struct PictureLoss {
    at::Tensor absolute;
    at::Tensor gradient;
    at::Tensor square;
};
// Both [..., H, W, 3].
PictureLoss picture_loss(const at::Tensor& made, const at::Tensor& truth);

} // namespace wander::train
