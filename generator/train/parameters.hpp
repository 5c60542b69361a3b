#pragma once
// The trained tensors of a network: named leaves on one device, with the checkpoint's own names and shapes.
//
// float32 in training (float64 in tests of gradients). Names are those of DitConfig::tensor_shapes() or
// VaeConfig::tensor_shapes(), in their order, so that walking networks load from them and files are written from them
// without translation. Made outside InferenceMode, or autograd refuses them. Not thread safe.

#include "generator/plain/result.hpp"

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace wander::train {

using TensorShapes = std::map<std::string, std::vector<std::int64_t>>;
using TensorSource = std::function<Result<at::Tensor>(const std::string& name, const std::vector<std::int64_t>& shape)>;

class Parameters {
public:
    Parameters() = default;
    explicit Parameters(std::map<std::string, at::Tensor> tensors) : tensors_(std::move(tensors)) {}

    // All tensors, widened to `type`; bad_input that lists what is missing or has another shape. `what`: "transformer".
    static Result<Parameters> load(const TensorShapes& shapes, const TensorSource& source, at::Device device,
                                   const char* what, at::ScalarType type = at::kFloat);

    const std::map<std::string, at::Tensor>& tensors() const { return tensors_; }
    const at::Tensor& at(const std::string& name) const; // asserts that it is there
    TensorShapes shapes() const;
    std::int64_t count() const; // of single numbers
    bool empty() const { return tensors_.empty(); }
    at::Device device() const;

    // Leaves that collect gradients, or plain tensors (an average).
    void require_gradients(bool on);
    void clear_gradients(); // they become undefined
    // New memory, without gradients.
    Parameters deep_copy() const;
    // Values of another set of the same names and shapes.
    void copy_from(const Parameters& other);
    // What loads a walking network (WanDit, PoseEmbedding, WanVae) out of these values, without copying them.
    TensorSource source() const;

private:
    std::map<std::string, at::Tensor> tensors_;
};

// A new transformer, as the recipe of the embedded world begins (tiny-world.md 5): normal matrices of deviation
// min(0.04, 0.7 / sqrt(in)), zeros for every bias, modulation, time_projection, head and the label's second layer, ones
// for norms, 0.06 for the first pose layer, 0.3 for maps and world rows. `random` is a CPU generator: the values do not
// depend on the device.
Parameters random_dit(const TensorShapes& shapes, at::Device device, at::Generator random,
                      at::ScalarType type = at::kFloat);

// A transformer for other places. Place i of the new one is place from_place[i] of the source, or new where that is -1:
// its rows of map_embedding.fine, .coarse and pose_embedding.world are taken or drawn (as random_dit does). Maps of
// another number of cells are resampled. Everything else is loaded. `stored`: the shapes that the source has.
Result<Parameters> load_dit_for_places(const TensorShapes& shapes, const TensorSource& source,
                                       const TensorShapes& stored, const std::vector<int>& from_place,
                                       at::Device device, at::Generator random);

// Maps [places, channels, cells, cells] read at other cells: bilinear, periodic, cell i of n lies at i / n of the tile
// (tiny-world.md 4).
at::Tensor resample_maps(const at::Tensor& maps, std::int64_t cells);

} // namespace wander::train
