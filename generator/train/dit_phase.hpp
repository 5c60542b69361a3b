#pragma once
// One step's loss of the transformer's training: which clips, with what errors in their context and what noise on
// their targets (tiny-world.md 5). The defaults are those of its phases 3 and 4.
//
// All randomness comes from generators that belong to the phase and can be saved; the ring of own roll-outs is not
// saved: it is filled again at the first step after restore(). Not thread safe.

#include "generator/train/own_rollouts.hpp"
#include "generator/train/train_dit.hpp"
#include "generator/train/training_data.hpp"

#include <ATen/core/Generator.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace wander::train {

struct DitPhaseConfig {
    int batch = 12;
    int latents = 24;           // L
    double at_walk_start = 0.1; // share of clips that begin right behind the start picture
    double without_pose = 0.1;  // share of clips that are shown without pose and map

    // Own roll-outs: share of steps that use them, from which progress (0..1) on, and steps between refreshes.
    double own_share = 0.75;
    double own_from = 0;
    int refresh_steps = 50;
    OwnRolloutsConfig own;
    // Share of the latents of own clips whose noisy input is the state that the sampler really reached.
    double own_middle = 0.4;

    // True clips: noise in the context, up to so much (a weight between latent and noise), in this share of the clips.
    double context_noise = 0.25;
    double context_noise_share = 0.6;
    // A constant for each channel and a smooth field, of this deviation each, in this share of all clips.
    double low_frequency = 0.12;
    double low_frequency_share = 0.35;

    // Sigma: one of the listed values in this share of the latents, else least + (1 - least) 3u / (1 + 2u).
    std::vector<double> sigmas = {1.0, 0.6};
    double listed_sigma_share = 0.6;
    double least_sigma = 0.2;
};

class DitPhase {
public:
    // `dit`, `average` (the EMA, with whose weights own roll-outs are made) and `data` must outlive this.
    DitPhase(TrainDit& dit, const Parameters& average, const TrainingData& data, DitPhaseConfig config,
             std::uint64_t seed);
    ~DitPhase();

    // Mean square error of one batch, a scalar with a graph behind it; refreshes own roll-outs when due.
    // progress: 0..1 of the phase.
    at::Tensor loss(double progress);

    // The batch that loss() would take its error on; for tests and pictures.
    struct Batch {
        Clip clip;
        at::Tensor target; // [B, L, 16, h, w]: velocity
        bool own = false;
    };
    Batch next_batch(double progress);

    double refresh_seconds() const { return refresh_seconds_; } // host time of all refreshes so far
    std::int64_t own_clips() const;

    // Generators and counters by name, CPU tensors. restore() takes what state() gave on the same kind of device;
    // bad_input otherwise, and then the phase may go on with the numbers of its seed.
    std::map<std::string, at::Tensor> state() const;
    Result<void> restore(const std::map<std::string, at::Tensor>& state);

private:
    void refresh_when_due(double progress);
    Batch true_batch();
    Batch own_batch();
    void add_low_frequency(at::Tensor& context);
    Batch finish(const at::Tensor& rows, const at::Tensor& starts, at::Tensor context_latents,
                 const at::Tensor& middle);
    at::Tensor uniform(const std::vector<std::int64_t>& shape); // float32 on the device
    at::Tensor normal(at::IntArrayRef shape);

    TrainDit* dit_;
    const Parameters* average_;
    const TrainingData* data_;
    DitPhaseConfig config_;
    at::Generator host_, device_;         // of the batches
    at::Generator own_host_, own_device_; // of the roll-outs
    at::Tensor sigmas_;                   // the listed ones, on the device
    std::optional<OwnRollouts> own_;
    std::int64_t steps_ = 0;
    std::int64_t since_refresh_ = 0;
    std::int64_t refreshes_ = 0; // so far: as many, at most a ring full, are made again after restore()
    double refresh_seconds_ = 0;
};

} // namespace wander::train
