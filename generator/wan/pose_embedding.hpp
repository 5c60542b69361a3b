#pragma once
// Where the embedded world's network knows that it is: absolute pose and a learned map, read along each token's viewing
// ray.
//
// For every token of a latent 690 numbers are made: harmonics of the viewing direction and the position, the fine map
// at 23 points and the coarse map at 18 (two sub-rays at fixed distances, and the ground hits of four sub-rays); three
// linear layers turn them into what is added to the patch tokens. Once a latent, not once a step. The numbers are made
// on the CPU in plain loops (84 tokens: far below a millisecond, where tensor operations would cost dozens of
// launches), the layers run on `device` in float32. Immutable after loading; any thread.

#include "generator/plain/result.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace wander {

struct PoseEmbeddingConfig {
    int dim = 0; // of the network
    int hidden = 0;
    int worlds = 0;
    int map_channels = 16;
    int fine_cells = 0;
    int coarse_cells = 0;
    std::vector<double> fine_distances;
    std::vector<double> coarse_distances;
    double period = 16; // side of the torus, world units
    double eye_height = 0.62;
    double focal = 0.6;       // over the width; pixels are square
    double far_distance = 13; // ground hits beyond it, and of rays at or above the horizon, are taken there
};

class PoseEmbedding {
public:
    using TensorSource =
        std::function<Result<at::Tensor>(const std::string& name, const std::vector<std::int64_t>& shape)>;
    static std::map<std::string, std::vector<std::int64_t>> tensor_shapes(const PoseEmbeddingConfig& config);
    static Result<PoseEmbedding> load(const PoseEmbeddingConfig& config, const TensorSource& source, at::Device device);

    // [rows * cols, dim] float32 on the device.
    at::Tensor tokens(double x, double z, double yaw, double pitch, int world, int rows, int cols) const;
    // The numbers alone, [rows * cols, 34 + points * channels] float32 CPU; for tests.
    at::Tensor features(double x, double z, double yaw, double pitch, int world, int rows, int cols) const;

private:
    PoseEmbeddingConfig config_;
    at::Tensor fine_; // [worlds, cells (z), cells (x), channels] float32 CPU: a point's channels lie together
    at::Tensor coarse_;
    at::Tensor weight_[3];
    at::Tensor bias_[3];
    at::Tensor world_rows_; // [worlds, hidden]
};

} // namespace wander
