#pragma once
// A small convolutional judge of single frames with spectral norm: paired features of its layers make a learned
// distance. Spectral norm: one power iteration a step (Miyato et al. 2018, "Spectral Normalization for GANs"). It
// trains itself by hinge loss and Adam. One thread.

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace wander::train {

struct DiscriminatorConfig {
    int width = 48; // of the first layer; then 2, 4, 4 times
    double rate = 4e-4;
    double beta1 = 0.5;
    double beta2 = 0.9;
};

class Discriminator {
public:
    Discriminator(const DiscriminatorConfig& config, at::Device device, at::ScalarType compute, std::uint64_t seed);

    struct Verdict {
        at::Tensor score;                 // [N, 1, H / 8, W / 8] float32, above 0: true
        std::vector<at::Tensor> features; // of the four layers, compute type
    };
    // frames: [N, H, W, 3] in [-1, 1]. trained: gradients reach the discriminator's own weights; else they pass through
    // to the frames alone.
    Verdict judge(const at::Tensor& frames, bool trained) const;

    // Called with the gradients before they are used: several workers average them in place.
    using Average = std::function<void(std::vector<at::Tensor>& gradients)>;
    // One hinge step on frames. Returns the loss, [] float32 without gradient.
    at::Tensor step(const at::Tensor& made, const at::Tensor& truth, const Average& average = {});

    // Everything that a checkpoint needs, by name; tensors are the living ones.
    std::map<std::string, at::Tensor> state() const;
    // Copies into the living ones. False: names or shapes differ, nothing was changed.
    bool load_state(const std::map<std::string, at::Tensor>& saved);

private:
    struct Layer {
        at::Tensor weight; // float32 leaf [out, in, k, k]
        at::Tensor bias;   // float32 leaf
        at::Tensor left;   // singular vectors of the weight as a matrix [out, in k k]
        at::Tensor right;
        int stride = 1;
    };
    at::Tensor normed(const Layer& layer, bool trained) const;
    void iterate(int times);
    std::vector<at::Tensor> leaves() const;

    DiscriminatorConfig config_;
    at::ScalarType compute_;
    std::vector<Layer> layers_;
    std::vector<at::Tensor> first_;  // Adam: mean of gradients, per leaf
    std::vector<at::Tensor> second_; // mean of their squares
    at::Tensor steps_;               // [] int64, on the CPU
};

} // namespace wander::train
