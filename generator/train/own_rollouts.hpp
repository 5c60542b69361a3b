#pragma once
// Clips that the model made itself: their latents are the context of training, the truth at the same poses the target.
//
// `walks` walks go on side by side along the poses of the training data; every refresh moves them on by one clip's
// length and puts that clip of each into a ring that keeps the newest `clips`. After one of `lengths` latents, drawn
// anew each time, the walks begin again elsewhere. Not thread safe; no gradients.

#include "generator/train/batched_walk.hpp"
#include "generator/train/training_data.hpp"

#include <ATen/core/Generator.h>

#include <cstdint>
#include <vector>

namespace wander::train {

struct OwnRolloutsConfig {
    int walks = 128;
    int clips = 1024; // in the ring
    int clip_latents = 24;
    std::vector<int> lengths = {24, 48, 96, 120}; // latents, multiples of the clip's are meant
    double without_pose = 0.05;                   // share of walks that go without pose and map
    BatchedWalkConfig walk;
};

struct OwnClips {
    at::Tensor walks;   // [B] int64, rows of the training data
    at::Tensor starts;  // [B] int64: index of the clip's first latent in its walk (the start picture is 0)
    at::Tensor latents; // [B, L, 16, h, w] float32: as the model made them
    at::Tensor middle;  // [B, L, 16, h, w] float32: what its last step began with
};

class OwnRollouts {
public:
    // `data` must outlive this. `device_random` lives on the data's device, `host_random` on the CPU.
    OwnRollouts(const DitConfig& config, const LatentGeometry& geometry, OwnRolloutsConfig rollouts,
                const TrainingData& data, at::ScalarType compute);

    // One more clip of each walk, with the weights of `parameters` (the average).
    void refresh(const Parameters& parameters, at::Generator host_random, at::Generator device_random);

    std::int64_t clips() const { return filled_ * config_.walks; } // in the ring now
    std::int64_t capacity() const { return capacity_; }            // refreshes that the ring keeps
    OwnClips pick(const at::Tensor& indices) const;                // [B] int64 on the device, below clips()

private:
    void begin_walks(at::Generator& host_random, at::Generator& device_random);

    OwnRolloutsConfig config_;
    const TrainingData* data_;
    BatchedWalk walk_;
    std::int64_t capacity_ = 0; // refreshes that the ring keeps
    std::int64_t filled_ = 0;
    std::int64_t next_ = 0;
    at::Tensor latents_, middle_; // [capacity * walks, L, 16, h, w] float16
    at::Tensor rows_, starts_;    // [capacity * walks] int64
    at::Tensor current_;          // [walks] int64: which rows of the data are walked now
    at::Tensor poses_, labels_;   // of those rows
    std::int64_t position_ = 0;   // index of the next latent in its walk; 0: begin anew
    std::int64_t end_ = 0;
};

} // namespace wander::train
