#pragma once
// Many walks at once with cached keys and values: the sampler behind own roll-outs and quick evaluations.
//
// One latent a chunk. History is the start picture and the last `window` latents; keys (normed) and values are kept
// un-rotated in a ring, [layers][walks, slots, tokens, dim], and rotated once a chunk around the newest camera. Euler
// steps over `sigmas`, then a context pass, as Rollout does for one walk; a test holds the two together. No gradients.
// Not thread safe.

#include "generator/train/clip.hpp"
#include "generator/train/parameters.hpp"
#include "generator/wan/dit.hpp"

#include <memory>
#include <vector>

namespace wander::train {

struct BatchedWalkConfig {
    int window = 24;
    std::vector<double> sigmas = {1.0, 0.6}; // the network's time is 1000 times that; ends at 0
};

class BatchedWalk {
public:
    BatchedWalk(const DitConfig& config, const LatentGeometry& geometry, BatchedWalkConfig walk, at::Device device,
                at::ScalarType compute);
    ~BatchedWalk();
    BatchedWalk(BatchedWalk&&) noexcept;
    BatchedWalk& operator=(BatchedWalk&&) noexcept;

    // Also between chunks of a walk. Small tensors are shared, so `parameters` must not change before the next call.
    void set_weights(const Parameters& parameters);

    // Forgets everything and begins R walks at their start pictures. latents [R, 16, h, w], cameras [R, 4], worlds [R]
    // int64, with_pose [R] (undefined: all), labels are 0.
    void begin(const at::Tensor& latents, const at::Tensor& cameras, const at::Tensor& worlds,
               const at::Tensor& with_pose = {});

    // A known latent enters history instead of a generated one (context pass alone).
    void push(const at::Tensor& latents, const at::Tensor& cameras, const at::Tensor& labels);

    struct Chunk {
        at::Tensor latents; // [R, 16, h, w] float32
        at::Tensor middle;  // [R, 16, h, w] float32: what the last step began with; the noise where there is one step
    };
    // noise [R, 16, h, w], cameras [R, 4], labels [R] float32.
    Chunk generate(const at::Tensor& noise, const at::Tensor& cameras, const at::Tensor& labels);

    std::int64_t walks() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace wander::train
