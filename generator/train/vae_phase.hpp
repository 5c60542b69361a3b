#pragma once
// First phase of a world: encoder and decoder together, on clips of pictures. tiny-world.md 5, phase 0.

#include "generator/train/train_vae.hpp"
#include "generator/train/training_data.hpp"

#include <ATen/core/Generator.h>

#include <cstdint>
#include <map>
#include <string>

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

    // Measures mean and deviation of the encoder's channels over up to 64 walks of the pool, first latents left out,
    // and sets them: at the end of the phase.
    void measure_latent_scale();

    // The generator's state: a CPU tensor by name, for checkpoints. restore(): bad_input if it is not there.
    std::map<std::string, at::Tensor> state() const;
    Result<void> restore(const std::map<std::string, at::Tensor>& state);

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

// dB of pictures in [0, 1] from the mean square of pictures in [-1, 1]; [] float32 without gradient.
at::Tensor psnr_of_square(const at::Tensor& square);

// latents [B, n, z, h, w] with normal noise of up to 2 share x deviation in half of the clips. deviation: broadcasts.
at::Tensor noisy_latents(const at::Tensor& latents, const at::Tensor& deviation, double share, at::Generator& random);

} // namespace wander::train
