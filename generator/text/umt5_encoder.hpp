#pragma once
// umT5 text encoder (self-forcing.md 7.2): token ids to one vector for each of them. Sizes are data; umT5-XXL is the
// default. With `shared_bias` it is the encoder of T5 1.1, which byT5 is (byt5_encoder.hpp).
//
// Only the real tokens are encoded: in the published pipeline padding is masked as keys and its rows are zeroed, so
// [L, dim] is all there is, and the transformer pads with zeros. bf16 or float32 products; norms, softmax and the
// residual stream are float32 (double when computing in double).
//
// Placement of the weights of the blocks:
//   resident: on the device. XXL in bf16: 9.26 GB, and 2.10 GB for the embedding table.
//   streamed: they stay where the tensor source has them (a mapped file) and pass through two buffers on the device;
//             the next part is copied while the current one computes. XXL in bf16: 0.34 GB of buffers; with all else it
//             must stay below 1 GiB (test Umt5Gpu). Rows of the embedding table are picked on the host.
//
// encode() may run on any one thread at a time, and beside the walk: on a GPU it has streams of its own.

#include "generator/plain/result.hpp"
#include "generator/text/text_placement.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace wander {

struct Umt5Config {
    int vocab = 256384; // rows of the embedding table; the tokenizer has fewer pieces
    int dim = 4096;
    int heads = 64;
    int head_dim = 64;
    int layers = 24;
    int ffn = 10240;
    int buckets = 32;
    int max_distance = 128;
    double eps = 1e-6;
    bool shared_bias = false; // T5: the table of block 0 serves all layers; umT5: every layer has its own

    // Every tensor name (native Wan spelling) with its shape, exactly what a checkpoint must hold.
    std::map<std::string, std::vector<std::int64_t>> tensor_shapes() const;
};

// Bucket of the distance key - query, bidirectional: half of the buckets for keys behind, half for keys ahead; exact
// for small distances, then logarithmic up to max_distance.
int umt5_bucket(int distance, int buckets, int max_distance);

class Umt5Encoder {
public:
    using TensorSource =
        std::function<Result<at::Tensor>(const std::string& name, const std::vector<std::int64_t>& shape)>;

    // Loads strictly. compute: kFloat, kBFloat16, kDouble. streamed keeps the source's tensors (views of a mapped file
    // cost no memory). progress: 0 to 1 while resident weights are copied; may be empty.
    static Result<Umt5Encoder> load(const Umt5Config& config, const TensorSource& source, at::Device device,
                                    at::ScalarType compute, TextPlacement placement,
                                    const std::function<void(double)>& progress = {});

    // [L, dim] float32 (double) on the device, finished when this returns. ids: 0 <= id < vocab, at least one.
    at::Tensor encode(const std::vector<int>& ids) const;

    const Umt5Config& config() const;

    struct Weights;
    // For tests of the parts (umt5_weights.hpp).
    const Weights& weights() const { return *weights_; }

private:
    std::shared_ptr<Weights> weights_;
};

} // namespace wander
