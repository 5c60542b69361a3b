#pragma once
// Last phase of the decoder: encoder frozen, true and own latents in, pictures compared by picture_loss, by the
// features of a small discriminator, and by its verdict. tiny-world.md 5, phases 2d and 4d.

#include "generator/train/discriminator.hpp"
#include "generator/train/train_vae.hpp"
#include "generator/train/training_data.hpp"
#include "generator/train/vae_phase.hpp"

#include <ATen/core/Generator.h>

#include <cstdint>
#include <map>
#include <string>

namespace wander::train {

struct DecoderPhaseConfig {
    int clips = 24;
    int first_latents = 4; // clips from a walk's beginning: 1 + 4 (n - 1) frames
    // Other clips; only frames of the second half count, since the first lacks its history: with the shipped weights
    // the fifth latent's frames are 49.7 dB from those of the whole walk, the eighth's 69.3 dB.
    int middle_latents = 8;
    double first_share = 0.25; // of the steps
    double own_share = 0.65;   // of the steps, when there are own latents
    double latent_noise = 0.05;
    double gradient_weight = 0.5;
    double square_weight = 0.5;
    double feature_weight = 0.1;
    double verdict_weight = 0.01;
    double discriminator_from = 0.1; // of the phase; 1: never
    int discriminator_frames = 3;    // of each clip
    DiscriminatorConfig discriminator;
};

class DecoderPhase {
public:
    // The VAE must outlive it. truth: the pool's walks encoded (encode_pool). own: the network's roll-outs along the
    // same walks [walks, 1 + T, z, h, w], normalised; undefined: true latents alone.
    DecoderPhase(TrainVae& vae, FramePool pool, at::Tensor truth, at::Tensor own, const DecoderPhaseConfig& config,
                 std::uint64_t seed);

    // Does the phase train this parameter?
    static bool trains(const std::string& name) { return name.starts_with("decoder."); }

    // Forward of one step: a scalar to call backward() on, which reaches parameters of the decoder alone. The
    // discriminator has an optimiser of its own and takes its step in here.
    at::Tensor loss(double progress);
    const at::Tensor& psnr() const { return psnr_; } // as VaePhase

    void set_own_latents(at::Tensor own) { own_ = std::move(own); }
    // Called with the discriminator's gradients before its step: several workers average them.
    void average_gradients(Discriminator::Average average) { average_ = std::move(average); }
    // As VaePhase; the discriminator's state is its own.
    std::map<std::string, at::Tensor> state() const;
    Result<void> restore(const std::map<std::string, at::Tensor>& state);
    Discriminator& discriminator() { return discriminator_; } // state(): for checkpoints

private:
    at::Tensor judged(const at::Tensor& made, const at::Tensor& truth);

    TrainVae& vae_;
    FramePool pool_;
    at::Tensor truth_;
    at::Tensor own_;
    DecoderPhaseConfig config_;
    at::Generator random_; // on the device: noise and clips
    at::Generator choice_; // on the CPU: which kind of step
    Discriminator discriminator_;
    Discriminator::Average average_;
    at::Tensor psnr_;
};

} // namespace wander::train
